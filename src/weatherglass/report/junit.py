"""A gate's verdict as JUnit XML, which continuous-integration servers show as tests."""

from xml.etree import ElementTree

from weatherglass.evaluation.gate import GateResult


def junit_xml(result: GateResult) -> str:
    """One test suite with one test case a rule; failed rules carry their reason."""
    failed = sum(not rule.passed for rule in result.results)
    suite = ElementTree.Element(
        "testsuite", name=f"weatherglass gate {result.run}", tests=str(len(result.results)), failures=str(failed)
    )
    for rule in result.results:
        case = ElementTree.SubElement(suite, "testcase", classname=f"weatherglass.gate.{rule.metric}", name=rule.name)
        if rule.passed:
            ElementTree.SubElement(case, "system-out").text = rule.reason
        else:
            ElementTree.SubElement(case, "failure", message=rule.reason).text = rule.reason
    if result.notes:
        ElementTree.SubElement(suite, "system-out").text = "\n".join(result.notes)
    ElementTree.indent(suite)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"
