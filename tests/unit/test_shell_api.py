"""The client: what it sends, what it tries again and when, and how it fails."""

import asyncio
from typing import Any

import pytest

from odp_dask_operator.core.names import JOB_RESOURCE, Child
from odp_dask_operator.shell import errors
from odp_dask_operator.shell.api import Answer, Api
from odp_dask_operator.shell.retry import RetryPolicy
from tests.support.memory_transport import Told, answer, refusal

SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "namespace": "ocean"}}


class Asked:
    """An Api on told answers, with a clock that does not wait."""

    def __init__(self, *answers: Answer | OSError, chance: float = 0.5) -> None:
        self.transport, self.pauses, self.counted = Told(answers), list[float](), list[tuple[str, str, int]]()
        self.api = Api(
            self.transport,
            counted=lambda *call: self.counted.append(call),
            policy=RetryPolicy(attempts=4, first_pause_s=1, longest_pause_s=10),
            sleep=self._sleep,
            chance=lambda: chance,
        )

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def get(self) -> dict[str, Any]:
        return asyncio.run(self.api.get(Child.SERVICE.resource, namespace="ocean", name="a"))


def test_a_server_that_is_busy_or_silent_is_asked_again_after_growing_pauses() -> None:
    asked = Asked(refusal(500), ConnectionError(), TimeoutError(), answer(200, {"kind": "Service"}))
    assert asked.get() == {"kind": "Service"}
    assert asked.pauses == [0.5, 1.0, 2.0]
    assert asked.counted == [("get", "services", 500), ("get", "services", 0), ("get", "services", 0), ("get", "services", 200)]


def test_retry_after_is_waited_for_and_jitter_comes_on_top() -> None:
    asked = Asked(answer(429, {}, Retry_After="3"), answer(200))
    asked.get()
    assert asked.pauses == [3.5]


def test_a_long_retry_after_is_left_to_the_queue() -> None:
    asked = Asked(answer(429, {}, Retry_After="60"))
    with pytest.raises(errors.Unavailable) as caught:
        asked.get()
    assert (caught.value.retry_after_s, asked.pauses) == (60, [])


def test_tries_come_to_an_end() -> None:
    asked = Asked(*[refusal(503, message="etcd is away")] * 4)
    with pytest.raises(errors.Unavailable, match="etcd is away"):
        asked.get()
    assert len(asked.transport.requests) == 4


@pytest.mark.parametrize(
    ("code", "reason", "message", "kind"),
    [
        (404, "NotFound", "", errors.NotFound),
        (409, "AlreadyExists", "", errors.AlreadyExists),
        (409, "Conflict", "", errors.Conflict),
        (410, "Expired", "", errors.Gone),
        (403, "Forbidden", "no", errors.Forbidden),
        (403, "Forbidden", 'services "a" is forbidden: exceeded quota: q', errors.QuotaExceeded),
        (422, "Invalid", "", errors.Invalid),
        (400, "BadRequest", "", errors.Invalid),
    ],
)
def test_a_no_is_typed_and_not_asked_again(code: int, reason: str, message: str, kind: type[errors.ApiError]) -> None:
    asked = Asked(refusal(code, reason, message))
    with pytest.raises(errors.ApiError) as caught:
        asked.get()
    assert (type(caught.value), caught.value.code, asked.pauses) == (kind, code, [])


def test_an_answer_that_is_no_status_has_its_code_as_its_words() -> None:
    asked = Asked(Answer(418, {}, b"<html>teapot"))
    with pytest.raises(errors.Invalid, match="HTTP 418"):
        asked.get()


def test_a_create_is_tried_again_and_finds_what_the_lost_answer_made() -> None:
    asked = Asked(TimeoutError(), refusal(409, "AlreadyExists"))
    with pytest.raises(errors.AlreadyExists):
        asyncio.run(asked.api.create(Child.SERVICE.resource, SERVICE))
    assert {request.path for request in asked.transport.requests} == {
        "/api/v1/namespaces/ocean/services?fieldManager=odp-dask-operator"
    }


def test_a_list_is_read_page_by_page_and_from_the_beginning_when_a_page_is_too_old() -> None:
    first = answer(200, {"metadata": {"continue": "x"}, "items": [{"metadata": {"name": "a"}}]})
    last = answer(200, {"metadata": {}, "items": [{"metadata": {"name": "b"}}]})
    asked = Asked(first, refusal(410, "Expired"), first, last)
    found = asyncio.run(asked.api.list_all(JOB_RESOURCE, fields="a=b"))
    assert [(raw["kind"], raw["metadata"]["name"]) for raw in found] == [("OdpDaskJob", "a"), ("OdpDaskJob", "b")]
    root = "/apis/odpdask.dev/v1alpha1/odpdaskjobs?limit=500&fieldSelector=a%3Db"
    assert [request.path for request in asked.transport.requests] == [root, f"{root}&continue=x"] * 2


def test_a_page_is_handed_over_before_the_next_is_read_and_too_old_a_one_is_told() -> None:
    page = answer(200, {"metadata": {"continue": "x"}, "items": [{"metadata": {"name": "a"}}]})
    asked = Asked(page, refusal(410, "Expired"))

    async def scene() -> None:
        pages = asked.api.pages(JOB_RESOURCE, labels="a=b", limit=1)
        assert [(raw["kind"], raw["metadata"]["name"]) for raw in await anext(pages)] == [("OdpDaskJob", "a")]
        assert len(asked.transport.requests) == 1
        with pytest.raises(errors.Gone):
            await anext(pages)

    asyncio.run(scene())
    root = "/apis/odpdask.dev/v1alpha1/odpdaskjobs?limit=1&labelSelector=a%3Db"
    assert [request.path for request in asked.transport.requests] == [root, f"{root}&continue=x"]


def test_a_delete_names_the_object_that_it_means() -> None:
    asked = Asked(answer(200))
    asyncio.run(asked.api.delete(Child.JOB.resource, namespace="ocean", name="a", uid="u"))
    (request,) = asked.transport.requests
    assert (request.method, request.path) == ("DELETE", "/apis/batch/v1/namespaces/ocean/jobs/a")
    assert request.body == {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "propagationPolicy": "Foreground",
        "preconditions": {"uid": "u"},
    }


def test_an_apply_has_one_field_manager_and_the_content_type_of_server_side_apply() -> None:
    asked = Asked(answer(200))
    asyncio.run(asked.api.apply(Child.SERVICE.resource, SERVICE))
    (request,) = asked.transport.requests
    assert request.content_type == "application/apply-patch+yaml"
    assert request.path == "/api/v1/namespaces/ocean/services/a?fieldManager=odp-dask-operator&force=true"


def test_a_patch_of_the_status_goes_to_the_status() -> None:
    asked = Asked(answer(200))
    asyncio.run(asked.api.patch(JOB_RESOURCE, {"status": {}}, namespace="ocean", name="a", subresource="status"))
    (request,) = asked.transport.requests
    assert request.content_type == "application/merge-patch+json"
    assert request.path.startswith("/apis/odpdask.dev/v1alpha1/namespaces/ocean/odpdaskjobs/a/status?")
    assert asked.counted == [("patch", "odpdaskjobs/status", 200)]
