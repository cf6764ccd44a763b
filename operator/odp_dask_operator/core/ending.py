"""What the end of a batch/v1 Job means for its job, in the words of the loader where it left any."""

from odp_dask_operator.core.decision import Verdict
from odp_dask_operator.core.observed import LoaderSeen, PodEnd
from odp_dask_operator.core.observed.words import Finished, text_of
from odp_dask_operator.core.plan import Plan
from odp_dask_operator.spec import Phase, Reason
from odp_loader import errors

_REASONS = {
    kind.exit_code: kind.reason
    for kind in (
        errors.LoadError,
        errors.InvalidLoad,
        errors.CredentialsRefused,
        errors.VerificationFailed,
        errors.OutputExists,
        errors.UserCodeFailed,
    )
}
"""What a load's exit code says when its last word is lost."""


def ending(plan: Plan, loader: LoaderSeen) -> Verdict | None:
    """The verdict on a job whose loader has ended for good; None while it has not. A lost last word fails no load."""
    if loader.succeeded is None:
        return None
    end = loader.last_end
    if loader.succeeded:
        return _success(plan, end)
    reason, message = failure(plan, end) if end else (Reason.LOADER_FAILED.value, text_of(loader.verdict) or "its pods are gone")
    tries = f" (after {loader.failures} attempts)" if loader.failures > 1 else ""
    return Verdict(phase=Phase.FAILED, reason=reason, message=f"{message}{tries}")


def _success(plan: Plan, end: PodEnd | None) -> Verdict:
    if plan.spec.script:
        message = "the script ended with exit status 0"
        return Verdict(phase=Phase.SUCCEEDED, reason=Reason.SCRIPT_FINISHED.value, message=message)
    finished = end.last_word.finished if end and end.last_word else None
    if finished is None:
        message = "the load is done and verified; its figures were lost with the pod and stand in the manifest beside the data"
        return Verdict(phase=Phase.SUCCEEDED, reason=Reason.LOAD_VERIFIED.value, message=message)
    same = finished.rows_read == finished.rows_expected
    reason = Reason.LOAD_VERIFIED if same else Reason.LOAD_DIFFERS
    return Verdict(phase=Phase.SUCCEEDED, reason=reason.value, message=_summary(finished), finished=finished)


def _summary(finished: Finished) -> str:
    rows = f"{finished.rows_read} rows read of {finished.rows_expected} expected"
    return f"{rows}, {finished.result.rows} written to {finished.result.data_url}"


def failure(plan: Plan, end: PodEnd) -> tuple[str, str]:
    """Reason and message of an attempt that failed."""
    said = end.last_word
    if said and said.message:
        return said.reason or Reason.LOADER_FAILED.value, said.message
    if end.word == "OOMKilled":
        message = "the loader needed more memory than loader.memory of the preset gives it (OOMKilled); choose a larger preset"
        return Reason.OUT_OF_MEMORY.value, message
    log = f"see kubectl logs -n {plan.names.namespace} job/{plan.names.base}"
    if end.exit_code is None:
        return Reason.LOADER_FAILED.value, f"the loader's pod was ended: {end.word or 'nobody says why'}"
    if plan.spec.script:
        return Reason.SCRIPT_FAILED.value, f"the script ended with exit status {end.exit_code}; {log}"
    reason = _REASONS.get(end.exit_code, Reason.LOADER_FAILED.value)
    return reason, f"the loader ended with exit status {end.exit_code} and without a word; {log}"
