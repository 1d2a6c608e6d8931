import io.swagger.v3.parser.OpenAPIV3Parser;
import java.nio.charset.StandardCharsets;

/** Prints what swagger-parser says of the OpenAPI document on standard input, a message per line. */
class Messages {
  public static void main(String[] none) throws Exception {
    var document = new String(System.in.readAllBytes(), StandardCharsets.UTF_8);
    new OpenAPIV3Parser().readContents(document).getMessages().forEach(System.out::println);
  }
}
