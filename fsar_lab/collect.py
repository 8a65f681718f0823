"""Tables, plots and a page of all runs of a sweep: `python -m fsar_lab.collect FOLDER [FOLDER ...]`.

Reads what is there, also while the sweep runs: finished, running and failed runs. Runs that differ in their
seed alone are one row (mean and standard deviation); what was coded from other images, or trained on another
number of them, is shown apart and not ranked.

  python -m fsar_lab.collect outputs/sweeps/ablation_quantizer
  python -m fsar_lab.collect outputs/sweeps/ablation_quantizer baseline=vqvae_c2
  python -m fsar_lab.collect outputs/sweeps/coding outputs/fsar-1a2b3c4d out=coding_report

FOLDER         a sweep's folder, or that of a single run
baseline=NAME  experiment, or classical codec, that differences are taken against, paired by seed; rows
               stand in the order of the differences
out=FOLDER     where to; default: report/ in the first folder
wandb=offline  or online: also log tables, plots and pictures as one W&B run in the sweep's group (offline
               files in out/wandb, for `wandb sync`)

Writes report.html (opens offline), table.md, table.csv (one line an experiment, every figure, sizes in bytes)
and the plots as PNG and SVG, in those of size against decoding speed and bundle the Pareto fronts. Needs
`pip install 'fsar_lab[report]'`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from fsar_lab.config.app import run_program
from fsar_lab.errors import ConfigError, FsarError
from fsar_lab.report import plots
from fsar_lab.report.blocks import KEYS, rows_of
from fsar_lab.report.markdown import panel_markdown
from fsar_lab.report.page import page
from fsar_lab.report.panel_types import Chart, TablePanel
from fsar_lab.report.panels import build_panels
from fsar_lab.report.planned import waiting_runs
from fsar_lab.report.runs import read_runs
from fsar_lab.report.tables import print_panel, print_runs, saying
from fsar_lab.report.wandb_table import log_report, settings_of
from fsar_lab.result_files import write_text


def collect(
    folders: Sequence[Path], out: Path, baseline: str | None = None, wandb: str | None = None
) -> None:
    """Read the runs of all folders and write the report to `out`.

    Args:
        folders: of sweeps or of single runs.
        out: folder of the report; made if it is not there.
        baseline: name of the experiment that differences are taken against.
        wandb: `offline` or `online`: also log the panels to Weights & Biases.

    Raises:
        FsarError: no run in a folder, no such baseline, `out` cannot be made, matplotlib is not
            installed, or W&B refuses.
    """
    console = Console(highlight=False)
    runs = []
    for folder in folders:
        begun = read_runs(folder)
        runs += [*begun, *waiting_runs(folder, {run.path.name for run in begun})]
    panels = build_panels(runs, baseline)
    tables = [panel for panel in panels if isinstance(panel, TablePanel)]
    title = ", ".join(folder.resolve().name for folder in folders)
    about = f"Collected {datetime.now(UTC):%Y-%m-%d %H:%M} UTC from {', '.join(map(str, folders))}"
    try:
        (out / "plots").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FsarError(
            f"out={out}: no folder can be made there ({error.strerror}) -> another out="
        ) from error
    with saying(console) as say:
        say("drawing")
        for panel in panels:
            if isinstance(panel, Chart):
                for ending, drawn in plots.files(panel).items():
                    (out / "plots" / f"{panel.key}.{ending}").write_bytes(drawn)
        table = io.StringIO(newline="")
        writer = csv.DictWriter(table, KEYS)
        writer.writeheader()
        writer.writerows(rows := rows_of(runs, baseline))
        write_text(out / "table.csv", table.getvalue())
        markdown = "\n\n".join(panel_markdown(panel) for panel in tables)
        write_text(out / "table.md", f"# {title}\n\n{about}.\n\n{markdown}\n")
        write_text(out / "report.html", page(title, about, runs, panels))
        if wandb is not None:
            say("logging to W&B")
            log_report(panels, rows, out, settings_of(runs, folders[0], wandb))
    for panel in tables:
        if panel.key.startswith("results"):
            print_panel(panel, console)
    print_runs(runs, console)
    console.print(f"page:   {out}/report.html\ntables: {out}/table.md, table.csv\nplots:  {out}/plots")


def main(arguments: Sequence[str]) -> None:
    """The command line."""
    options = dict(a.split("=", 1) for a in arguments if "=" in a and not Path(a).exists())
    folders = [Path(a) for a in arguments if "=" not in a or Path(a).exists()]
    if unknown := options.keys() - {"baseline", "out", "wandb"}:
        raise ConfigError(f"{', '.join(sorted(unknown))}: no such option -> baseline=, out= or wandb=")
    if (mode := options.get("wandb")) not in (None, "offline", "online"):
        raise ConfigError(f"wandb={mode}: no such mode -> offline or online, or leave it out")
    if not folders:
        raise ConfigError(
            "name a sweep's folder: python -m fsar_lab.collect outputs/sweeps/NAME (see --help)"
        )
    collect(folders, Path(options.get("out", folders[0] / "report")), options.get("baseline"), mode)


if __name__ == "__main__":
    run_program(__doc__, main)
