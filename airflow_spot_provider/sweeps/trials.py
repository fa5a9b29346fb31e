"""The trials of a sweep: asked for, trained, told, each exactly once, whatever dies in between.

A trial is claimed before it is asked for: a waiting trial that bears its DAG run and slot is put into the study, and whoever asks
takes a waiting one. So a trial that runs always has somebody who goes on with it after a crash; and its job's name is derived
from the study and its number, so that going on with it finds the job that is there.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from airflow_spot_provider.sweeps.settings import SweepBudget, SweepSettings
from airflow_spot_provider.sweeps.study import distributions_of, open_study
from airflow_spot_provider.training import Outcome, SpotTrainingError, SpotTrainingResult

CLAIM, JOB, RESULT, LOST, SURPLUS = (
    f"airflow-spot:{name}" for name in ("claim", "job", "result", "lost", "surplus")
)
"""User attributes of a trial: whose it is (``{"run", "slot"}``), its training job, how that went, at which step it was found to
lose, and that it was one more than the budget allows."""
RUN, SLOT = "airflow-spot:run", "airflow-spot:slot"
"""Whose a trial is, as two attributes of which one may be missing: so it is in studies that were begun before there were claims."""
_FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


@dataclass(frozen=True, slots=True)
class Spent:
    """What a sweep has come to so far.

    :param trials: trained or being trained.
    :param running: of them, being trained.
    :param billable_seconds: billable seconds x instances of those that have ended.
    """

    trials: int
    running: int
    billable_seconds: float

    def is_all(self, budget: SweepBudget) -> str | None:
        """Why no further trial may start, or None. Of those that run, each is taken to cost what one did on average."""
        if budget.trials is not None and self.trials >= budget.trials:
            return f"{self.trials} trials are the budget"
        if budget.seconds is None:
            return None
        ended = self.trials - self.running
        expected = self.billable_seconds + (self.running * self.billable_seconds / ended if ended else 0)
        if expected >= budget.seconds:
            return f"{self.billable_seconds:,.0f} billable seconds, and {self.running} trials that run, are the budget"
        return None


def claim_of(trial: FrozenTrial) -> tuple[str | None, int | None]:
    """Which DAG run's trial it is, and which slot's; None for what is not claimed."""
    claim = trial.user_attrs.get(CLAIM)
    if isinstance(claim, Mapping):
        return claim.get("run"), claim.get("slot")
    return trial.user_attrs.get(RUN), trial.user_attrs.get(SLOT)


class Trials:
    """The trials of one DAG run in a study.

    :param settings: of the sweep.
    :param run: which DAG run's, and which group's.
    :param slot: the mapped task that asks; None to look only.
    """

    def __init__(self, settings: SweepSettings, run: str, slot: int | None = None) -> None:
        self._settings = settings
        self._run = run
        self._slot = slot
        self._study = open_study(settings)

    def all(self, *states: TrialState) -> list[FrozenTrial]:
        """Those of this DAG run that count, oldest first.

        :param states: in which they are; none for any.
        """
        return [
            trial
            for trial in self._study.get_trials(deepcopy=False, states=states or None)
            if claim_of(trial)[0] == self._run and SURPLUS not in trial.user_attrs
        ]

    def running_here(self) -> FrozenTrial | None:
        """The oldest running trial of this slot: one that a crash has left, or whose job is waited for."""
        for trial in self.all(TrialState.RUNNING):
            if claim_of(trial)[1] == self._slot:
                return trial
        return None

    def of_job(self, job_name: str) -> FrozenTrial:
        """The trial that a job trains.

        :raises SpotTrainingError: there is none.
        """
        for trial in self.all():
            if trial.user_attrs.get(JOB) == job_name:
                return trial
        raise SpotTrainingError(f"The study {self._settings.study!r} has no trial that {job_name} trains.")

    def next(self, budget: SweepBudget) -> FrozenTrial | None:
        """The trial that this slot is to train next, or None when the budget is spent."""
        while (left := self.running_here()) is not None:
            if set(left.params) == set(self._settings.space):
                return left
            # Died while it was being asked for: it never had a job.
            self._mark(left, SURPLUS, "was never trained")
            self._study.tell(left.number, state=TrialState.FAIL, skip_if_finished=True)
        if self.spent().is_all(budget):
            return None
        asked = self._ask()
        if budget.trials is not None and self._rank(asked.number) >= budget.trials:
            # Another slot has asked at the same moment, and was first.
            asked.set_user_attr(SURPLUS, "one more than the budget")
            self._study.tell(asked, state=TrialState.FAIL)
            return None
        return self._frozen(asked.number)

    def begin(self, trial: FrozenTrial, job_name: str) -> None:
        """Remember which job trains a trial, before it is submitted."""
        self._mark(trial, JOB, job_name)

    def lose(self, trial: FrozenTrial, step: int) -> None:
        """Remember that the pruner gave a trial up, before its job is stopped."""
        self._mark(trial, LOST, step)

    def report(self, number: int, values: Sequence[tuple[int, float]]) -> int | None:
        """Tell the pruner intermediate values.

        :param values: steps and values, in order; steps that were told before are passed over.
        :return: the step at which the trial loses, or None.
        """
        # Not from the list of all trials: reading that takes the longer the more of them run.
        trial = optuna.Trial(self._study, self._id_of(number))
        frozen = trial._cached_frozen_trial
        if LOST in frozen.user_attrs:
            return int(frozen.user_attrs[LOST])
        for step, value in values:
            if step in frozen.intermediate_values:
                continue
            trial.report(value, step)
            if trial.should_prune():
                self.lose(frozen, step)
                return step
        return None

    def tell(self, trial: FrozenTrial, result: SpotTrainingResult) -> TrialState:
        """Tell the study how a trial's job went. A second time changes nothing.

        One that completed without a value for each objective, as when it diverged, is told as failed, which is what Optuna itself
        does with NaN.
        """
        trial = self._frozen(trial.number)
        if trial.state in _FINISHED:
            return trial.state
        self._mark(trial, RESULT, json.dumps(result.to_json()))
        if result.outcome is Outcome.COMPLETED and not self.missing(result):
            values = [result.metrics[metric] for metric in self._settings.metrics]
            return self._study.tell(trial.number, values, skip_if_finished=True).state
        lost = LOST in trial.user_attrs and result.outcome is Outcome.STOPPED
        state = TrialState.PRUNED if lost else TrialState.FAIL
        self._study.tell(trial.number, state=state, skip_if_finished=True)
        return state

    def missing(self, result: SpotTrainingResult) -> list[str]:
        """The objectives that a job has no value for."""
        return [metric for metric in self._settings.metrics if metric not in result.metrics]

    def give_up(self) -> int:
        """Tell the trials that nobody goes on with as failed, and how many they were."""
        left = self.all(TrialState.RUNNING)
        for trial in left:
            self._study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
        return len(left)

    def results(self, *, slot: int | None = None) -> dict[int, SpotTrainingResult]:
        """The published results by trial number.

        :param slot: of this slot's trials only.
        """
        return {
            trial.number: SpotTrainingResult.from_json(json.loads(trial.user_attrs[RESULT]))
            for trial in self.all(*_FINISHED)
            if RESULT in trial.user_attrs and (slot is None or claim_of(trial)[1] == slot)
        }

    def failures_in_a_row(self) -> int:
        """How many of this slot's newest trials failed."""
        count = 0
        for trial in reversed(self.all(*_FINISHED)):
            if claim_of(trial)[1] == self._slot:
                if trial.state is not TrialState.FAIL:
                    break
                count += 1
        return count

    def spent(self) -> Spent:
        """What the sweep has come to so far."""
        trials = [trial for trial in self.all() if trial.state is not TrialState.WAITING]
        return Spent(
            trials=len(trials),
            running=sum(trial.state is TrialState.RUNNING for trial in trials),
            billable_seconds=sum(
                result.savings.billable_instance_seconds for result in self.results().values()
            ),
        )

    def best(self) -> list[FrozenTrial]:
        """The best trial; of several objectives, those that no other beats in all."""
        completed = self.all(TrialState.COMPLETE)
        if not completed:
            return []
        numbers = {trial.number for trial in completed}
        if len(self._settings.metrics) > 1:
            return [trial for trial in self._study.best_trials if trial.number in numbers]
        sign = 1 if self._settings.modes[0] == "min" else -1
        return [min(completed, key=lambda trial: sign * (trial.value or 0.0))]

    def _ask(self) -> optuna.Trial:
        """Take a trial, and have the sampler choose its hyperparameters."""
        # Each ask is a process of its own: with one seed for all, each would draw the same.
        words = (
            f"{self._settings.seed}/{self._run}/{self._slot}/{len(self._study.get_trials(deepcopy=False))}"
        )
        study = open_study(self._settings, seed=zlib.crc32(words.encode()))
        claim = {"run": self._run, "slot": self._slot}
        while (taken := self._take(study)) is None:
            study.enqueue_trial({}, user_attrs={CLAIM: claim})
        asked = optuna.Trial(study, taken)
        asked.set_user_attr(CLAIM, claim)
        for name, distribution in distributions_of(self._settings.space).items():
            asked._suggest(name, distribution)
        return asked

    def _take(self, study: optuna.Study) -> int | None:
        """Take a waiting trial that this slot has put there, or that has been put there by hand to be tried first.

        ``Study.ask`` takes any, another slot's too, which then finds it running under its own name and trains it as well.

        :return: its internal id; None if there is none.
        """
        for trial in study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            run, slot = claim_of(trial)
            if run in (None, self._run) and slot in (None, self._slot):
                try:
                    if study._storage.set_trial_state_values(trial._trial_id, state=TrialState.RUNNING):
                        return int(trial._trial_id)
                except optuna.exceptions.UpdateFinishedTrialError:
                    continue  # somebody else took it, and was quick
        return None

    def _rank(self, number: int) -> int:
        return sum(trial.number < number for trial in self.all() if trial.state is not TrialState.WAITING)

    def _id_of(self, number: int) -> int:
        """The internal id of a trial, which stays the same."""
        study, storage = self._study, self._study._storage
        return storage.get_trial_id_from_study_id_trial_number(study._study_id, number)

    def _frozen(self, number: int) -> FrozenTrial:
        return next(trial for trial in self._study.get_trials(deepcopy=False) if trial.number == number)

    def _handle(self, trial: FrozenTrial) -> optuna.Trial:
        """What Optuna takes words about a running trial through; it makes one by the trial's internal id."""
        return optuna.Trial(self._study, trial._trial_id)

    def _mark(self, trial: FrozenTrial, attribute: str, value: Any) -> None:
        self._handle(trial).set_user_attr(attribute, value)
