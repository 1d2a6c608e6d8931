import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;

/** Checks files, as many as it is given: most of the time goes into loading the rules. */
interface Validator {

  /** An error in a file: the id of the broken rule, and its text. */
  record Finding(String rule, String text) {}

  /** Returns the errors, without warnings, that a check finds in a file. */
  List<Finding> validate(String check, Path file) throws Exception;

  /**
   * Reads lines "check TAB file" from standard input. For each of them, writes a line "check TAB file TAB milliseconds" and,
   * before it, a line "TAB rule TAB text" for each error.
   */
  static void serve(Validator validator) throws Exception {
    var out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    // The validators log to standard output.
    System.setOut(System.err);
    var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line; (line = in.readLine()) != null; ) {
      var asked = line.split("\t");
      var start = System.nanoTime();
      List<Finding> findings;
      try {
        findings = validator.validate(asked[0], Path.of(asked[1]));
      } catch (Exception failure) {
        findings = List.of(new Finding("exception", failure.toString()));
      }
      for (var finding : findings) {
        out.println("\t" + finding.rule + "\t" + finding.text.strip().replaceAll("\\s+", " "));
      }
      out.println(line + "\t" + (System.nanoTime() - start) / 1_000_000);
    }
  }
}
