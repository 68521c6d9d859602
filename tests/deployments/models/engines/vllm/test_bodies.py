from typing import Any

import pytest

from deployments.models.engines.protocol import EmbedRequest, GenerateRequest, RequestRefusedError
from deployments.models.engines.vllm.bodies import embed_body, generate_body

HELLO = ({"role": "user", "content": "Hello"},)


def body(prompt: Any = HELLO, **fields: Any) -> dict[str, Any]:
    made = generate_body(GenerateRequest(prompt, max_tokens=5, **fields), 4)
    assert len(made.pop("request_id")) == 32
    return made


def test_what_was_not_asked_for_is_not_said() -> None:
    always = {"max_tokens": 4, "stream": True, "stream_options": {"include_usage": True}}
    assert body() == {"messages": [{"role": "user", "content": "Hello"}], **always}
    assert body("Hello") == {"prompt": "Hello", **always}
    assert body((5, 6)) == {"prompt": [5, 6], **always}


def test_what_was_asked_for_is_passed_on() -> None:
    made = body(temperature=0.0, top_p=0.5, seed=3, stop=("a", "b"), extra={"logit_bias": {"5": 1}})
    wanted = {"temperature": 0.0, "top_p": 0.5, "seed": 3, "stop": ["a", "b"], "logit_bias": {"5": 1}}
    assert wanted.items() <= made.items()


def test_requests_have_ids_of_their_own() -> None:
    request = GenerateRequest(HELLO, max_tokens=5)
    assert generate_body(request, 5)["request_id"] != generate_body(request, 5)["request_id"]


@pytest.mark.parametrize(
    ("prompt", "wanted", "asked"),
    [
        (HELLO, 0, {"logprobs": True, "top_logprobs": 0}),
        (HELLO, 3, {"logprobs": True, "top_logprobs": 4}),
        ("Hello", 0, {"logprobs": 0}),
        ("Hello", 3, {"logprobs": 3}),
    ],
)
def test_log_probabilities(prompt: Any, wanted: int, asked: dict[str, Any]) -> None:
    assert {**asked, "return_tokens_as_token_ids": True}.items() <= body(prompt, logprobs=wanted).items()


def test_an_unknown_parameter_is_refused_by_name() -> None:
    with pytest.raises(RequestRefusedError) as caught:
        body(extra={"tools": []})
    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", "tools")


def test_inputs_of_embeddings() -> None:
    assert embed_body(EmbedRequest(("a", (5, 6)))) == {"input": ["a", [5, 6]], "encoding_format": "base64"}
    assert embed_body(EmbedRequest(("a",), 8))["dimensions"] == 8
