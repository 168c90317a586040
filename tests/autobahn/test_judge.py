"""The judge must not be milder than the suite's own words."""

import json
import tempfile
import unittest
from pathlib import Path

from judge import MAY_BE_INFORMATIONAL, fault, judge, row, table

BAD_WORDS = ["NON-STRICT", "UNIMPLEMENTED", "FAILED", "WRONG CODE", "UNCLEAN", "FAILED BY CLIENT", None]


class Words(unittest.TestCase):
    def test_ok_passes_everywhere(self) -> None:
        for case in ["1.1.1", "6.4.1", *MAY_BE_INFORMATIONAL]:
            self.assertIsNone(fault(case, "OK", "OK"))

    def test_informational_passes_in_three_cases_only(self) -> None:
        for case in ["7.1.6", "7.13.1", "7.13.2"]:
            self.assertIsNone(fault(case, "INFORMATIONAL", "INFORMATIONAL"))
        for case in ["7.1.5", "7.13.10", "6.4.1"]:
            self.assertIsNotNone(fault(case, "INFORMATIONAL", "OK"))

    def test_no_other_word_passes_anywhere(self) -> None:
        for word in BAD_WORDS:
            for case in ["6.4.1", "7.1.6"]:
                self.assertIn("behavior is", fault(case, word, "OK"))
                self.assertIn("behaviorClose is", fault(case, "OK", word))


class Reports(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.reports = Path(directory.name)

    def write(self, **results: str) -> None:
        cases = {
            case: {"behavior": word, "behaviorClose": "OK", "reportfile": f"{case}.json"}
            for case, word in results.items()
        }
        (self.reports / "index.json").write_text(json.dumps({"sockeye": cases}))

    def test_a_case_that_is_not_in_the_report_fails(self) -> None:
        self.write(**{"1.1.1": "OK"})
        found = {v.case: v.fault for v in judge(["1.1.1", "1.1.2"], self.reports, "sockeye")}
        self.assertIsNone(found["1.1.1"])
        self.assertIn("missing", found["1.1.2"])

    def test_without_a_report_or_under_another_name_all_fail(self) -> None:
        self.assertTrue(all(v.fault for v in judge(["1.1.1", "1.1.2"], self.reports, "sockeye")))
        self.write(**{"1.1.1": "OK"})
        self.assertTrue(all(v.fault for v in judge(["1.1.1"], self.reports, "other")))

    def test_the_row_counts_compression_apart(self) -> None:
        self.write(**{"1.1.1": "OK", "7.1.6": "INFORMATIONAL", "12.1.1": "OK", "13.1.1": "FAILED"})
        found = judge(["1.1.1", "7.1.6", "10.1.1", "12.1.1", "13.1.1", "13.1.2"], self.reports, "sockeye")
        self.assertEqual(row(found), "3 | 1 | 1 | 1 | 3 | 1 | 2")

    def test_the_table_counts_by_section(self) -> None:
        self.write(**{"1.1.1": "OK", "7.1.6": "INFORMATIONAL", "10.1.1": "NON-STRICT"})
        rows = table(judge(["1.1.1", "1.1.2", "7.1.6", "10.1.1"], self.reports, "sockeye")).splitlines()
        self.assertEqual(
            [row.split() for row in rows[1:]],
            [
                ["1", "2", "1", "0", "1"],
                ["7", "1", "0", "1", "0"],
                ["10", "1", "0", "0", "1"],
                ["all", "4", "1", "1", "2"],
            ],
        )


if __name__ == "__main__":
    unittest.main()
