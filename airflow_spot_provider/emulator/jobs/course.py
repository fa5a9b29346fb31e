"""What one job is to go through, stay by stay: decisions only, no events."""

from __future__ import annotations

from airflow_spot_provider.emulator.clock import Clock
from airflow_spot_provider.emulator.jobs.lifecycles import End, Lifecycle, Stay, Timing, for_job, timing_of
from airflow_spot_provider.emulator.spec import JobSpec

LEAST_REAL_STAY_SECONDS = 8.0
"""How long the last stay before MaxWait really lasts at least: long enough for a script to start and to resume."""
LEAST_REAL_SCRIPT_SECONDS = 2.0
"""How long a script without checkpoints really runs at least before a planned interruption."""
LATEST_INTERRUPTION_SECONDS = 1800.0
"""When a planned interruption comes, if the script has written no checkpoint until then."""
LEAST_REAL_CHECKPOINT_SECONDS = 60.0
"""How long a script really has at least to write that checkpoint, on however busy a machine."""
LEAST_REAL_LIMIT_SECONDS = 300.0
"""MaxRuntime lets a script have so many real seconds, or its own number if that is less: a fast clock is no reason to cut it off."""


class Course:
    """The stays of one job on instances, and how long what lies between them takes.

    :param spec: the job.
    :param lifecycle: what was planned for it.
    :param clock: turns the real seconds that a script needs into emulated ones.
    :param stay_number: the stay that it is in, or is to begin next.
    """

    def __init__(self, spec: JobSpec, lifecycle: Lifecycle, clock: Clock, stay_number: int = 0) -> None:
        plan = for_job(lifecycle, managed_spot=spec.spot)
        self.lifecycle = lifecycle
        self.stay_number = stay_number
        self.timing: Timing = timing_of(
            plan, training_seconds=spec.training_seconds, max_wait=spec.max_wait_seconds
        )
        self._spec = spec
        self._clock = clock
        self._stays = plan.stays
        self.is_launched = bool(plan.stays)
        self.on_market = plan.on_market

    @property
    def stay(self) -> Stay:
        """The stay that it is in, or is to begin next; those beyond the plan end when the work is done."""
        if self.stay_number < len(self._stays):
            return self._stays[self.stay_number]
        return self._stays[-1] if self._stays[-1].end is End.FAILED else Stay(End.DONE)

    @property
    def is_to_meet_max_wait(self) -> bool:
        """Whether the plan has MaxWait end this stay or one that is to come."""
        return any(stay.end is End.MAX_WAIT for stay in self._stays[self.stay_number :])

    def go_on(self) -> None:
        """The stay is over."""
        self.stay_number += 1

    def max_runtime(self, *, runs_script: bool) -> float:
        """Emulated seconds after which MaxRuntime is over: its own, or more where they would be too few real ones for a script.

        :param runs_script: whether the job runs one.
        """
        limit = self._spec.max_runtime_seconds
        if not runs_script:
            return limit
        return max(limit, self._clock.emulated_seconds(min(limit, LEAST_REAL_LIMIT_SECONDS)))

    def max_wait(self, *, runs_script: bool) -> float:
        """Emulated seconds after which MaxWait is over at the latest: as long after MaxRuntime as the request has it.

        :param runs_script: whether the job runs one.
        """
        beyond = (self._spec.max_wait_seconds or 0.0) - self._spec.max_runtime_seconds
        return beyond + self.max_runtime(runs_script=runs_script)

    def latest_interruption(self, *, runs_script: bool) -> float:
        """Emulated seconds of training until a planned interruption, if no checkpoint brings it sooner."""
        if not runs_script:
            return self.timing.interruption
        limit = self.max_runtime(runs_script=True) / 3
        if self._spec.checkpoint_uri is not None:
            least = self._clock.emulated_seconds(LEAST_REAL_CHECKPOINT_SECONDS)
            return min(max(LATEST_INTERRUPTION_SECONDS, least), limit)
        least = self._clock.emulated_seconds(LEAST_REAL_SCRIPT_SECONDS)
        return min(max(self.timing.interruption, least), limit)

    def outage_seconds(self, *, waited: float, runtime: float, runs_script: bool) -> float:
        """How long a planned outage is; before a last stay it takes what is left of MaxWait, but for that stay.

        :param waited: seconds since the job was created.
        :param runtime: seconds of training so far.
        :param runs_script: whether the job runs one.
        """
        if self.stay.end is not End.MAX_WAIT:
            return self.timing.outage
        assert self._spec.max_wait_seconds is not None
        left = self._spec.max_wait_seconds - waited
        runtime_left = self.max_runtime(runs_script=runs_script) - runtime
        stay = self.timing.downloading * 3
        if runs_script:
            stay = max(stay, self.timing.downloading + self._clock.emulated_seconds(LEAST_REAL_STAY_SECONDS))
        return max(0.0, left - min(stay, left / 2, self.timing.downloading + runtime_left / 2))
