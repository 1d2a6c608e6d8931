import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import javax.xml.parsers.DocumentBuilderFactory;
import org.mustangproject.validator.ZUGFeRDValidator;
import org.verapdf.gf.foundry.VeraGreenfieldFoundryProvider;
import org.verapdf.pdfa.Foundries;
import org.verapdf.pdfa.flavours.PDFAFlavour;
import org.w3c.dom.Element;

/** Checks PDFs: with Mustang as a hybrid invoice (PDF/A-3, metadata, embedded XML), with veraPDF by flavour, such as 3a or ua1. */
class Pdfs implements Validator {

  @Override
  public List<Finding> validate(String check, Path file) throws Exception {
    return check.equals("mustang") ? mustang(file) : verapdf(PDFAFlavour.byFlavourId(check), file);
  }

  List<Finding> verapdf(PDFAFlavour flavour, Path file) throws Exception {
    var foundry = Foundries.defaultInstance();
    var findings = new ArrayList<Finding>();
    try (var parser = foundry.createParser(file.toFile(), flavour); var validator = foundry.createValidator(flavour, false)) {
      var result = validator.validate(parser);
      for (var failed : result.getTestAssertions()) {
        var rule = failed.getRuleId();
        findings.add(new Finding(rule.getClause() + "-" + rule.getTestNumber(), failed.getMessage()));
      }
      if (findings.isEmpty() && !(result.isCompliant() && result.getTotalAssertions() > 0)) {
        findings.add(new Finding("compliance", result.toString()));
      }
    }
    return findings;
  }

  /** Reads Mustang's report to the end: its summary says "valid" even if one of its parts is invalid. */
  List<Finding> mustang(Path file) throws Exception {
    var validator = new ZUGFeRDValidator();
    validator.disableNotices();
    var report = validator.validate(file.toString());
    var document = DocumentBuilderFactory.newInstance().newDocumentBuilder()
        .parse(new ByteArrayInputStream(report.getBytes(StandardCharsets.UTF_8)));
    var findings = new ArrayList<Finding>();
    var rulesFired = 0;
    var elements = document.getElementsByTagName("*");
    for (int n = 0; n < elements.getLength(); n++) {
      var element = (Element) elements.item(n);
      switch (element.getTagName()) {
        // The ids of rules are in the text.
        case "error", "fatal", "exception" ->
          findings.add(new Finding(element.getTagName() + "-" + element.getAttribute("type"), element.getTextContent()));
        case "fired" -> rulesFired += Integer.parseInt(element.getTextContent());
        default -> { }
      }
      if (element.getAttribute("status").equals("invalid")) {
        findings.add(new Finding("status", element.getParentNode().getNodeName() + " is invalid"));
      }
    }
    if (findings.isEmpty() && !(validator.wasCompletelyValid() && rulesFired > 0)) {
      findings.add(new Finding("status", "not completely valid, with " + rulesFired + " rules fired"));
    }
    return findings;
  }

  public static void main(String[] arguments) throws Exception {
    VeraGreenfieldFoundryProvider.initialise();
    Validator.serve(new Pdfs());
  }
}
