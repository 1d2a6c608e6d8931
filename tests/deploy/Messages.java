import io.swagger.v3.parser.OpenAPIV3Parser;
import io.swagger.v3.parser.core.models.ParseOptions;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** Prints what swagger-parser says of the OpenAPI document in a file, a message per line. */
class Messages {
  public static void main(String[] arguments) throws Exception {
    var document = Files.readString(Path.of(arguments[0]));
    var parsed = new OpenAPIV3Parser().readContents(document, null, new ParseOptions());
    for (var message : parsed.getMessages() == null ? List.<String>of() : parsed.getMessages()) {
      System.out.println(message);
    }
  }
}
