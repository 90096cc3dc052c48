"""Search for the parts that gain most in float for what they cost.

Lazy greedy search: the part with the largest gain over cost is kept in float, then the next one. What a part
gains depends on what is kept already, so a part is measured again, beside the kept ones, before it is
chosen; since gains mostly shrink, only the parts at the head of the queue have to be measured again.

Source: Minoux 1978, Accelerated greedy algorithms for maximizing submodular set functions (with costs:
Leskovec et al. 2007, Cost-effective outbreak detection in networks).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from typing import Any

import numpy as np

from tfyolo.models.contract import Contract
from tfyolo.models.network import Network
from tfyolo.models.quantization import QuantizationSpec
from tfyolo.progress import Progress, no_progress
from tfyolo.quantization.budget.costs import Cost, UnmeasurableError
from tfyolo.quantization.budget.options import FloatBudget
from tfyolo.quantization.budget.parts import Part, modules_of
from tfyolo.quantization.fidelity import Fidelity
from tfyolo.quantization.mixed import MixedPrecision, compare, heads_of

MIN_GAIN = 0.003
"""A part that gains less is left in int8: of a loss that is 1 for the network without float parts."""
_MIN_COST = 0.001
"""Lower limit of a cost that a gain is divided by."""

Compare = Callable[[Network, QuantizationSpec, bool], Fidelity]
"""Compares a quantized network with the float one; if True is passed, by its errors alone."""


@dataclass(frozen=True)
class Trial:
    """A choice of float parts.

    Attributes:
        kept: their names; empty for the network as it was calibrated.
        cost: by `FloatBudget.of`.
        errors: see `Fidelity.errors`; the search lowers their sum, each relative to the first trial.
        fidelity: see `Fidelity`; None unless chosen: it is too noisy on some dozens of images to rank parts.
        measured: whether the cost was measured, or estimated.
        chosen: whether the search continued from it.
        problem: why no file can hold it; empty if one can, or if that was not tried.
    """

    kept: tuple[str, ...]
    cost: float
    errors: tuple[float, ...]
    fidelity: float | None
    measured: bool = False
    chosen: bool = False
    problem: str = ""


@dataclass(frozen=True)
class FloatSearch:
    """Result of a search.

    Attributes:
        budget: what it was allowed to spend.
        trials: all choices that were compared, in order.
        recalibrated: the last choice after the network was calibrated anew for it; None before that.
        note: what a reader should know about the budget; empty if nothing.
    """

    budget: FloatBudget
    trials: tuple[Trial, ...]
    recalibrated: Trial | None = None
    note: str = ""

    @property
    def path(self) -> tuple[Trial, ...]:
        """Return the choices that the search continued from; the first one keeps nothing."""
        return tuple(trial for trial in self.trials if trial.chosen)

    def loss(self, trial: Trial) -> float:
        """Return the mean of the errors, each relative to the network without float parts: 1 for that one."""
        return _loss(self.path[0], trial)

    @property
    def pays(self) -> bool:
        """Return whether the errors are lower after the network was calibrated anew."""
        return self.recalibrated is not None and self.loss(self.recalibrated) <= self.loss(self.path[-1])

    @property
    def kept(self) -> tuple[str, ...]:
        """Return the names of the parts to keep in float."""
        return self.path[-1].kept


def comparison(exact: Network, contract: Contract, images: np.ndarray, count: int) -> Compare:
    """Return a function that compares quantized networks with the float one.

    Args:
        exact: the float network.
        contract: contract of the model.
        images: uint8 (n, height, width, 3) RGB, letterboxed.
        count: number of images to compare on, sampled evenly.
    """
    chosen = np.unique(np.linspace(0, len(images) - 1, count).round().astype(int))
    shown = images[chosen]
    wanted = heads_of(exact, None, shown)

    def measure(network: Network, spec: QuantizationSpec, errors_only: bool) -> Fidelity:
        return compare(wanted, heads_of(network, spec, shown), contract, errors_only)

    return measure


def search(
    mixed: MixedPrecision,
    measure: Compare,
    cost: Cost,
    budget: FloatBudget,
    progress: Progress = no_progress,
) -> FloatSearch:
    """Choose the parts of a calibrated network to keep in float.

    Args:
        mixed: the float network and the calibrated one.
        measure: from `comparison`.
        cost: what parts cost.
        budget: what they may cost.
        progress: called as `progress(label, done, total)` after each step.

    Returns:
        All choices that were compared; `kept` is the result.
    """
    modules = modules_of(mixed.network)
    return _Search(
        modules, lambda kept, quick: measure(*mixed.keeping(kept), quick), cost, budget, progress
    ).run()


@dataclass
class _Search:
    """State of a search."""

    modules: tuple[Part, ...]
    measure: Callable[[Sequence[str], bool], Fidelity]
    cost: Cost
    budget: FloatBudget
    progress: Progress
    trials: list[Trial] = field(default_factory=list)

    def run(self) -> FloatSearch:
        self._try(())
        best = self._settle((), 0.0, chosen=True)
        self._first = best
        queue: list[tuple[float, int, Part, int]] = []
        for number, (part, gain) in enumerate(self._alone(best)):
            heappush(queue, (-self._worth(best, part, gain), number, part, 0))
        age = 0
        while queue:
            _, number, part, measured_at = heappop(queue)
            kept = part.added_to(best.kept)
            if part.within(best.kept) or self.cost.estimate(kept) > 2 * self.budget.share:
                continue
            if measured_at < age:  # measured beside fewer kept parts than there are now
                trial = self._try(kept)
                if (gain := self._loss(best) - self._loss(trial)) > MIN_GAIN:
                    heappush(queue, (-self._worth(best, part, gain), number, part, age))
                continue
            try:
                spent = self.cost.measure(kept)
            except UnmeasurableError as error:
                self._note(kept, problem=str(error))
                continue
            fits = spent <= self.budget.share
            trial = self._settle(kept, spent, fits)
            if fits:
                best, age = trial, age + 1
                self.progress("spending the float budget", round(100 * spent / self.budget.share), 100)
        return FloatSearch(self.budget, tuple(self.trials))

    def _alone(self, base: Trial) -> list[tuple[Part, float]]:
        """Return what each part gains alone: modules and their blocks, and what is in blocks that gain."""
        found: list[tuple[Part, float]] = []
        waiting = [part for part in self.modules if not part.within(base.kept)]
        done = 0
        while waiting:
            part = waiting.pop(0)
            gain = self._loss(base) - self._loss(self._try((part.name,)))
            if gain > MIN_GAIN:
                found.append((part, gain))
            if gain > MIN_GAIN or part in self.modules:
                waiting += part.children
            done += 1
            self.progress("trying parts in float", done, done + len(waiting))
        return found

    def _loss(self, trial: Trial) -> float:
        return _loss(self._first, trial)

    def _worth(self, best: Trial, part: Part, gain: float) -> float:
        return gain / max(self.cost.estimate(part.added_to(best.kept)) - best.cost, _MIN_COST)

    def _try(self, kept: tuple[str, ...]) -> Trial:
        trial = Trial(kept, self.cost.estimate(kept), self.measure(kept, True).errors(), None)
        self.trials.append(trial)
        return trial

    def _settle(self, kept: tuple[str, ...], cost: float, chosen: bool) -> Trial:
        """Note the measured cost of a choice, and its fidelity if the search continues from it."""
        fidelity = self.measure(kept, False).fidelity if chosen else None
        return self._note(kept, cost=cost, fidelity=fidelity, measured=True, chosen=chosen)

    def _note(self, kept: tuple[str, ...], **fields: Any) -> Trial:
        """Replace fields of the last trial of a choice."""
        index = max(i for i, trial in enumerate(self.trials) if trial.kept == kept)
        self.trials[index] = replace(self.trials[index], **fields)
        return self.trials[index]


def _loss(first: Trial, trial: Trial) -> float:
    """Return the mean of the errors, each relative to the first trial: 1 for that one."""
    return float(np.mean([x / max(base, 1e-9) for x, base in zip(trial.errors, first.errors, strict=True)]))
