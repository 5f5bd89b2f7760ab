"""The kill matrix: which mutants are caught, by which oracle, and whether they are named right."""

from collections import Counter
from collections.abc import Sequence

from jaxconv._core.types import Json
from jaxconv.check.console import show_table
from jaxconv.check.mutants.trial import OpTrial, Verdict

SHARE = 0.99
"""The share of the mutants with a named mistake that must get the right diagnosis."""


def line(trial: OpTrial) -> str:
    """Describe the result of one op, with every mutant that survived or got a wrong name."""
    verdicts = trial.verdicts
    caught = sum(v.caught for v in verdicts)
    known = [v for v in verdicts if v.expected]
    named = sum(v.right for v in known)
    lines = [
        f"{trial.op}: {caught} of {len(verdicts)} caught, {named} of {len(known)} named"
        f"{_left_out(trial.left_out)}  [{trial.seconds:.1f} s]"
    ]
    lines += [f"  survived: {v.mutant} (sample {v.sample})" for v in verdicts if not v.caught]
    lines += [
        f"  {v.mutant}: {v.named or 'no name'}, not {' or '.join(v.expected)}"
        for v in known
        if v.caught and not v.right
    ]
    return "\n".join(lines)


def _left_out(count: int) -> str:
    return f", {count} more edits not tried" if count else ""


class Matrix:
    """The results of the mutants of all ops."""

    def __init__(self, trials: Sequence[OpTrial]):
        self.trials = list(trials)
        self.verdicts = [v for trial in trials for v in trial.verdicts]
        self.survivors = [v for v in self.verdicts if not v.caught]
        self.known = [v for v in self.verdicts if v.expected]
        self.named = sum(v.right for v in self.known)

    @property
    def share(self) -> float:
        """The share of the mutants with a named mistake that got the right diagnosis."""
        return self.named / len(self.known) if self.known else 1.0

    @property
    def ok(self) -> bool:
        """Whether no mutant survived and enough were named right."""
        return not self.survivors and self.share >= SHARE

    def show(self) -> None:
        """Print the matrix by op, by mistake and oracle, and the totals."""
        rows = [_row(t.op, t.verdicts, t.equivalent, t.left_out) for t in self.trials]
        equivalent = sum(trial.equivalent for trial in self.trials)
        left_out = sum(trial.left_out for trial in self.trials)
        rows.append(_row("all", self.verdicts, equivalent, left_out))
        header = (
            "op",
            "mutants",
            "caught",
            "with a name",
            "named",
            "crash",
            "no mistake",
            "not tried",
        )
        show_table("Mutants", header, rows)
        oracles = self._oracles()
        show_table(
            "Mistakes",
            ("mistake", "mutants", "caught", "named", *oracles),
            [_caught(what, verdicts, oracles) for what, verdicts in self._by_mistake().items()],
        )
        crashed = sum(v.crashed for v in self.verdicts)
        print(
            f"\n{len(self.verdicts) - len(self.survivors)} of {len(self.verdicts)} mutants caught,"
            f" {crashed} of them because they crash;"
            f" {self.named} of {len(self.known)} named right ({self.share:.1%},"
            f" at least {SHARE:.0%} must be)"
        )

    def _oracles(self) -> list[str]:
        """Return the oracles that caught a mutant, the most successful first."""
        return [
            name for name, _ in Counter(o for v in self.verdicts for o in v.oracles).most_common()
        ]

    def _by_mistake(self) -> dict[str, list[Verdict]]:
        """Group the verdicts by the name of their mistake, or by their kind if it has none."""
        found: dict[str, list[Verdict]] = {}
        for verdict in sorted(self.verdicts, key=lambda v: (not v.expected, v.expected, v.kind)):
            name = verdict.expected[0] if verdict.expected else f"({verdict.kind}, no name)"
            found.setdefault(name, []).append(verdict)
        return found

    def to_dict(self) -> Json:
        """Return the matrix as plain data."""
        return {
            "ok": self.ok,
            "crashed": sum(v.crashed for v in self.verdicts),
            "left_out": sum(trial.left_out for trial in self.trials),
            "mutants": len(self.verdicts),
            "caught": len(self.verdicts) - len(self.survivors),
            "known": len(self.known),
            "named": self.named,
            "oracles": {o: sum(o in v.oracles for v in self.verdicts) for o in self._oracles()},
            "ops": [trial.to_dict() for trial in self.trials],
        }


def _row(
    op: str, verdicts: Sequence[Verdict], equivalent: int, left_out: int
) -> tuple[object, ...]:
    known = [v for v in verdicts if v.expected]
    return (
        op,
        len(verdicts),
        sum(v.caught for v in verdicts),
        len(known),
        sum(v.right for v in known),
        sum(v.crashed for v in verdicts),
        equivalent,
        left_out,
    )


def _caught(what: str, verdicts: Sequence[Verdict], oracles: Sequence[str]) -> tuple[object, ...]:
    named = sum(v.right for v in verdicts) if verdicts[0].expected else ""
    by = [sum(oracle in v.oracles for v in verdicts) or "" for oracle in oracles]
    return (what, len(verdicts), sum(v.caught for v in verdicts), named, *by)
