"""The one platform, in each of its spellings."""

from __future__ import annotations

import pytest

from linwin.api.platforms import check
from linwin.errors import InvalidRequest


@pytest.mark.parametrize(
    "platform",
    [
        "",
        "windows",
        "Windows/AMD64",
        "windows/x86_64",
        "windows/amd64/v1",
        '{"os":"windows","architecture":"amd64"}',
        '{"os":"windows","architecture":null,"os.version":"10.0.17763"}',
    ],
)
def test_ours(platform: str) -> None:
    check(platform)


@pytest.mark.parametrize(
    "platform", ["linux", "windows/arm64", "linux/amd64", '{"os":"linux"}', '{"architecture":["amd64"]}']
)
def test_others(platform: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check(platform)
    assert caught.value.message == f"the platform {platform} is not supported"
    assert caught.value.hint == "linwin runs windows/amd64 images."


@pytest.mark.parametrize("platform", ["{", "{" * 100_000])
def test_no_json(platform: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check(platform)
    assert caught.value.message == "the platform is no JSON object"
    assert caught.value.hint == 'Write it as {"os":"windows","architecture":"amd64"}.'
