"""The judge of the goals, judged."""

import importlib.machinery
import importlib.util
import sys
import unittest
from pathlib import Path

loader = importlib.machinery.SourceFileLoader("goals", str(Path(__file__).with_name("goals")))
goals = importlib.util.module_from_spec(importlib.util.spec_from_loader("goals", loader))
sys.modules["goals"] = goals
loader.exec_module(goals)

PAGE = """
text

| load | cost | p50 / p99 | again |
|---|--:|--:|--:|
| bare mio | 10.0 ±1 % | 40 / 90 µs | 1 |
| sockeye | 12.5 ±7 % (1.2x) | 41 / 80 µs | 10.0 |
| slow | 2.5 µs ±2 % | – | 1 |
| quick | 25 ns ±2 % | 39 / 40 µs | 1 |
| sockeye on mio | 262 / 270 | 1.5 ms (-9 %) | 1 |

| other | cost |
|---|--:|
| bare mio | 1 |
"""


class Tables(unittest.TestCase):
    def setUp(self) -> None:
        self.table = goals.tables_of(PAGE)["load"]

    def test_figures_are_read_with_their_units(self) -> None:
        self.assertEqual(len(self.table.rows), 5)
        self.assertEqual(self.table.figure("sockeye", "cost"), 12.5)
        self.assertEqual(self.table.figure("slow", "cost"), 2500)
        self.assertEqual(self.table.figure("sockeye", "p50 / p99"), 41e3)
        self.assertEqual(self.table.figure("sockeye on mio", "cost"), 270)
        self.assertEqual(self.table.figure("sockeye on mio", "p50 / p99"), 1.5e6)
        self.assertEqual(self.table.best_peer("cost"), (25, "quick"))
        with self.assertRaises(KeyError):
            self.table.figure("slow", "p50 / p99")

    def test_goals_are_judged_by_their_bound(self) -> None:
        for bound, just, too_much, says in (
            (goals.Faster, 2, 2.01, "2.00 times as fast as quick"),
            (lambda bounds: goals.Times(bounds, "bare mio"), 1.25, 1.24, "1.25 x"),
            (lambda bounds: goals.Times(bounds, column="again"), 1.25, 1.24, "1.25 x"),
            (lambda bounds: goals.Plus(bounds, "bare mio"), 2.5, 2.4, "+2 B"),
            (goals.Most, 12.5, 12.4, "12 B"),
        ):
            for limit, verdict in ((just, "met"), (too_much, "**not met**")):
                goal = goals.Goal("w", "load", "sockeye", ("cost",), bound((limit,)))
                self.assertTrue(goals.judge(goal, self.table).endswith(f"{says} | {verdict} |"))

    def test_what_is_between_the_comments_is_replaced(self) -> None:
        page = "a <!-- x --> old <!-- end of x --> b"
        self.assertEqual(goals.replaced(page, "x", "new"), "a <!-- x -->\n\nnew\n\n<!-- end of x --> b")


if __name__ == "__main__":
    unittest.main()
