import com.helger.diagnostics.error.level.EErrorLevel;
import com.helger.diver.api.coord.DVRCoordinate;
import com.helger.io.resource.FileSystemResource;
import com.helger.phive.api.execute.ValidationExecutionManager;
import com.helger.phive.api.executorset.ValidationExecutorSetRegistry;
import com.helger.phive.api.validity.IValidityDeterminator;
import com.helger.phive.en16931.EN16931Validation;
import com.helger.phive.peppol.PeppolValidation;
import com.helger.phive.xml.source.IValidationSourceXML;
import com.helger.phive.xml.source.ValidationSourceXML;
import com.helger.phive.xrechnung.XRechnungValidation;
import com.helger.phive.zugferd.ZugferdValidation;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.w3c.dom.Document;

/** Checks XML against the official rules of EN 16931, ZUGFeRD, XRechnung and Peppol, which phive contains. */
class Invoices implements Validator {

  /** The rules of each check, by the name of the root element. */
  static final Map<String, Map<String, String>> RULES = Map.of(
      "cen-cii", Map.of("CrossIndustryInvoice", "eu.cen.en16931:cii:1.3.16"),
      "zugferd", Map.of("CrossIndustryInvoice", "de.zugferd:en16931:2.4"),
      "cen-ubl", Map.of(
          "Invoice", "eu.cen.en16931:ubl:1.3.16",
          "CreditNote", "eu.cen.en16931:ubl-creditnote:1.3.16"),
      "peppol", Map.of(
          "Invoice", "eu.peppol.bis3:invoice:2026.5",
          "CreditNote", "eu.peppol.bis3:creditnote:2026.5"),
      "xrechnung-ubl", Map.of(
          "Invoice", "de.xrechnung:ubl-invoice:3.0.2",
          "CreditNote", "de.xrechnung:ubl-creditnote:3.0.2"));

  final ValidationExecutorSetRegistry<IValidationSourceXML> registry = new ValidationExecutorSetRegistry<>();

  Invoices() {
    EN16931Validation.initEN16931(registry);
    PeppolValidation.initStandard(registry);
    XRechnungValidation.initXRechnung(registry);
    ZugferdValidation.initZugferd(registry);
  }

  @Override
  public List<Finding> validate(String check, Path file) {
    var source = ValidationSourceXML.create(new FileSystemResource(file.toFile()));
    var root = ((Document) source.getNode()).getDocumentElement().getLocalName();
    var rules = RULES.get(check).get(root);
    if (rules == null) {
      return List.of(new Finding("root", "no rules of " + check + " are about the element " + root));
    }
    var results = ValidationExecutionManager.executeValidation(
        IValidityDeterminator.createDefault(), registry.getOfID(DVRCoordinate.parseOrNull(rules)), source, Locale.ENGLISH);
    var findings = new ArrayList<Finding>();
    for (var result : results) {
      for (var error : result.getErrorList()) {
        if (error.getErrorLevel().isGE(EErrorLevel.ERROR)) {
          // Violations of a schema have no id.
          var rule = error.hasErrorID() ? error.getErrorID() : result.getValidationArtefact().getValidationType().getID();
          findings.add(new Finding(rule, error.getErrorText(Locale.ENGLISH)));
        }
      }
    }
    if (findings.isEmpty() && !results.getOverallValidity().isValid()) {
      findings.add(new Finding("validity", results.getOverallValidity().toString()));
    }
    return findings;
  }

  public static void main(String[] arguments) throws Exception {
    Validator.serve(new Invoices());
  }
}
