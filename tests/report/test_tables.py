"""Tables say what was coded, show a dash for what is unknown, and speak up when we are not smaller."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from fsar_lab import report
from fsar_lab.report.tables import saying


def row(codec: str, bpd: float, size: int) -> dict[str, Any]:
    return {"codec": codec, "bpd": bpd, "bytes": size, "encode_MBps": 10.0, "lossless": True}


@pytest.fixture
def result() -> dict[str, Any]:
    return {
        "status": "ok", "name": "fsar_o2s", "lossless": True, "images": 1234,
        "bpd": 4.0, "bpd_latents": 0.5, "bpd_pixels": 3.4, "bpd_overhead": 0.1, "bytes": 1_000_000,
        "bpd_estimated": 3.89, "bpd_float_estimated": 3.88, "bpd_latents_estimated": 0.49,
        "encode_MBps": 12.34, "decode_MBps": 234.5, "train_images": 300_000,
        "siblings": [row("v2dvq + uniform", 4.2, 1_050_000) | {"prior": "uniform"}],
        "baselines": [row("png", 5.8, 1_450_000), row("webp", 4.6, 1_150_000)],
    }  # fmt: skip


def printed(result: dict[str, Any], width: int = 120) -> str:
    stream = io.StringIO()
    report.print_result(result, Console(file=stream, width=width, color_system=None))
    return stream.getvalue()


def test_figures_stay_whole_on_a_narrow_terminal(result: dict[str, Any]) -> None:
    result["baselines"][0]["codec"] = "JPEG-LS after (R-G, G, B-G) with a very long name"
    text = printed(result, width=80)
    assert "1,450,000" in text and "lossless" in text and "…" not in text


def test_ours_comes_first_and_is_the_yardstick(result: dict[str, Any]) -> None:
    rows = report.comparison_rows(result)
    assert [row["codec"] for row in rows] == ["fsar_o2s", "v2dvq + uniform", "png", "webp"]
    assert [row["percent"] for row in rows] == pytest.approx([0, 5, 45, 15])


def test_the_first_bits_of_a_chain_are_shown(result: dict[str, Any]) -> None:
    result |= {"bits_initial": 48_000.0, "bpd_initial": 0.0125, "bpd_single_image": 7.5}
    parts = report.parts_rows(result)
    assert [row["part"] for row in parts[-3:]] == ["overhead", "- initial bits", "total"]
    assert parts[-2]["bpd"] == 0.0125
    single = report.comparison_rows(result)[1]
    assert single["codec"] == "each image by itself" and single["percent"] == pytest.approx(87.5)
    for text in (printed(result), report.comparison_markdown(result) + report.parts_markdown(result)):
        assert all(part in text for part in ("48,000 bits", "0.0125", "7.5000"))


def test_console_shows_figures_and_no_remark(result: dict[str, Any]) -> None:
    text = printed(result)
    for part in (
        "1,234 images",
        "4.0000",
        "1,000,000",
        "+45.0 %",
        "12.3",
        "234",
        "float estimated",
        "3.8800",
    ):
        assert part in text
    assert "Note" not in text


def test_parts_sum_up(result: dict[str, Any]) -> None:
    rows = {row["part"]: row for row in report.parts_rows(result)}
    assert list(rows) == ["latents", "pixels", "overhead", "total"]
    assert sum(rows[part]["share"] for part in ("latents", "pixels", "overhead")) == pytest.approx(100)
    assert rows["latents"]["estimated"] == 0.49 and rows["pixels"]["estimated"] is None
    assert rows["total"]["float_estimated"] == 3.88


@pytest.mark.parametrize(
    ("key", "bpd", "remark"),
    [
        ("baselines", 4.0, "Not smaller than WebP lossless: 4.0000 against 4.0000 bpd."),
        ("siblings", 3.9, "sibling with the uniform prior: 4.0000 against 3.9000 bpd."),
    ],
)
def test_not_smaller_is_said(result: dict[str, Any], key: str, bpd: float, remark: str) -> None:
    result[key][-1]["bpd"] = bpd
    (note,) = report.notes(result)
    assert note.endswith(remark)
    assert remark in printed(result) and remark in report.comparison_markdown(result)


def test_failures_are_said(result: dict[str, Any]) -> None:
    result.update(status="failed", error="[boom]", lossless=False)
    assert report.notes(result)[0] == "This run failed: [boom]"
    text = printed(result)
    assert "[boom]" in text and "do not count" in text and " NO " in text


def test_an_empty_result_is_all_dashes() -> None:
    assert "Nothing was coded" in printed({})
    assert all(row["bpd"] is None and row["share"] is None for row in report.parts_rows({}))
    assert "| fsar_lab | – | – | – | – | – | – |" in report.comparison_markdown({})


def test_markdown_is_a_table(result: dict[str, Any]) -> None:
    result["name"] = "a|b"
    lines = report.comparison_markdown(result).splitlines()
    assert lines[0] == "| codec | bpd | bytes | size | enc MB/s | dec MB/s | lossless |"
    assert lines[1] == "| :--- | ---: | ---: | ---: | ---: | ---: | ---: |"
    assert lines[2] == r"| a\|b | 4.0000 | 1,000,000 | 0.0 % | 12.3 | 234 | yes |"
    assert len(lines) == 6
    assert report.parts_markdown(result).splitlines()[2] == "| latents | 0.5000 | 12.5 % | 0.4900 | – |"


def test_classical_codecs_alone(result: dict[str, Any]) -> None:
    rows = [entry | {"title": f"The {entry['codec']} codec", "images": 7} for entry in result["baselines"]]
    lines = report.baselines_markdown(rows).splitlines()
    assert lines[3] == "| The webp codec | 4.6000 | 1,150,000 | 10 | – | yes |"
    stream = io.StringIO()
    Console(file=stream, width=120, color_system=None).print(report.baselines_table(rows))
    assert "7 images" in stream.getvalue() and "The png codec" in stream.getvalue()
    assert report.baselines_table([]).row_count == 0


def test_what_is_being_done_is_also_shown_without_a_terminal() -> None:
    for terminal in (False, True):
        text = io.StringIO()
        with saying(Console(file=text, force_terminal=terminal, width=80)) as say:
            say("coding [64] images")
        assert ("\x1b" in text.getvalue()) == terminal
        assert terminal or text.getvalue() == "coding [64] images ...\n"
