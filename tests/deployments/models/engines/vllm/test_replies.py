from deployments.models.engines.protocol import Chunk, TokenLogprob, Usage
from deployments.models.engines.vllm.replies import ReplyReader, complaint
from deployments.models.engines.vllm.server import Complaint
from tests.deployments.models.engines.vllm.recording_server import RecordingServer, chat_piece, event, text_piece, used


def reader(logprobs: int | None = None) -> ReplyReader:
    return ReplyReader(RecordingServer().token_bytes, logprobs)


def test_the_last_chunk_waits_for_the_usage() -> None:
    one = reader()
    assert list(one.read(text_piece("a"))) == [Chunk("a")]
    assert list(one.read(text_piece("b", "length"))) == []
    assert not one.ended
    assert list(one.read(used(7, 2))) == [Chunk("b", "length", Usage(7, 2))]
    assert one.ended


def test_pieces_without_text_are_dropped() -> None:
    assert list(reader().read(chat_piece("") + event(choices=[{"delta": {"role": "assistant"}}]))) == []


def test_log_probabilities_of_a_chat() -> None:
    tops = [{"token": "token_id:3", "logprob": -2.0}, {"token": "token_id:1", "logprob": -0.5}]
    told = {"content": [{"token": "token_id:2", "logprob": -3.0, "top_logprobs": tops}]}
    (chunk,) = reader(1).read(chat_piece("", None, told))
    assert chunk == Chunk("", logprobs=(TokenLogprob("\ufffd", -3.0, b"\xe6", (TokenLogprob("a", -0.5, b"a"),)),)), (
        "only as many as were asked for, and the likeliest of them"
    )


def test_log_probabilities_of_a_text() -> None:
    told = {
        "tokens": ["token_id:1", "token_id:3"],
        "token_logprobs": [-1.0, -2.0],
        "top_logprobs": [{"token_id:1": -1.0, "token_id:3": -1.5}, None],
    }
    (chunk,) = reader(2).read(text_piece("a b", None, told))
    assert isinstance(chunk, Chunk)
    first, second = chunk.logprobs
    assert (first.token, first.logprob, [top.token for top in first.top]) == ("a", -1.0, ["a", " b"])
    assert (second.utf8, second.top) == (b" b", ())


def test_an_error_in_the_stream_is_a_complaint() -> None:
    error = {"message": "no", "code": 400, "param": "stop"}
    assert list(reader().read(event(error=error))) == [Complaint(400, "no", "stop")]
    assert complaint({"message": "no", "code": "teapot"}).status == 500, "what is not a status is the server's fault"
