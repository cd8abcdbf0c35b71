"""What one call can give, and what it is told about the rest."""

from __future__ import annotations

import pytest

from kimi_wire import KimiRequestError
from kimi_wire.settings import SETTINGS, merge_settings, split_options


@pytest.mark.parametrize(
    "name",
    [
        *("api_key", "kimi_api_key", "base_url", "api_base", "default_headers", "http_client", "http_async_client"),
        *("stream_idle_timeout", "streaming", "token_counting", "context_window"),
    ],
)
def test_what_belongs_to_the_model_object_says_so(name: str) -> None:
    with pytest.raises(KimiRequestError, match=rf"^'{name}' cannot be given with a call\. It belongs to the model obj"):
        merge_settings({}, {name: 3})


def test_what_is_nobodys_can_be_sent_as_it_is() -> None:
    with pytest.raises(
        KimiRequestError, match=r"^'zzz' is not a setting\. To send it .*: extra_body=\{'zzz': \.\.\.\}"
    ):
        merge_settings({}, {"zzz": 3})


@pytest.mark.parametrize(("package", "name"), [("langchain_kimi", "ChatKimi"), ("llama_index_kimi", "Kimi")])
def test_every_field_of_ours_can_be_given_with_a_call_or_is_told_where_it_belongs(package: str, name: str) -> None:
    model = getattr(pytest.importorskip(package, exc_type=ImportError), name)
    ours = model.model_fields.keys() - model.__base__.model_fields.keys()
    for name in ours - {*SETTINGS, "model_name", "timeout", "max_retries"}:
        with pytest.raises(KimiRequestError, match="belongs to the model object"):
            merge_settings({}, {name: 3})


def test_a_negative_number_of_retries() -> None:
    with pytest.raises(KimiRequestError, match="max_retries=-1 is not a whole number of at least 0"):
        split_options({"max_retries": -1})
    assert split_options({"max_retries": 0, "timeout": None, "stop": "x"}) == ({"max_retries": 0}, {"stop": "x"})
