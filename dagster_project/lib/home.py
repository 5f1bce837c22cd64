"""Places on disk. All state of an installation lives under one folder, its home (``$DELEVER_HOME``, default ``./data``)."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from dagster_project.lib.errors import UsageError

PROJECT_ROOT = Path(__file__).resolve().parents[2]
"""The checkout: ``dbt/``, ``scenarios/``, ``dagster.yaml`` and ``workspace.yaml`` lie here."""


@dataclass(frozen=True)
class Home:
    """The layout of one home.

    Args:
        root: Absolute path of the home; it need not exist.
    """

    root: Path

    @classmethod
    def from_env(cls) -> "Home":
        """The home that ``$DELEVER_HOME`` names, or ``./data``."""
        return cls(Path(os.environ.get("DELEVER_HOME") or "data").absolute())

    @property
    def landing(self) -> Path:
        """Bytes as received, with a manifest per batch."""
        return self.root / "landing"

    @property
    def raw(self) -> Path:
        """Typed Parquet, ``<dataset>/venue=/date=/``."""
        return self.root / "raw"

    @property
    def warehouse(self) -> Path:
        """The DuckDB file that dbt and the replay write, one at a time."""
        return self.root / "warehouse.duckdb"

    @property
    def published(self) -> Path:
        """What readers open: a link to the newest snapshot that passed every blocking check."""
        return self.root / "published"

    @property
    def published_marts(self) -> Path:
        """The published tables as one DuckDB file."""
        return self.published / "marts.duckdb"

    @property
    def inbox(self) -> Path:
        """The folder that the files sensor watches (``$DELEVER_INBOX`` overrides it)."""
        return Path(os.environ.get("DELEVER_INBOX") or self.root / "inbox")

    @property
    def book(self) -> Path:
        """The newest edition of the demo's position book."""
        editions = sorted((self.landing / "sample" / "book").glob("*"), key=lambda path: path.stat().st_mtime)
        return editions[-1] if editions else self.landing / "sample" / "book"

    @property
    def scenarios(self) -> Path:
        """A user's own scenarios and sweeps, beside those that come with Delever."""
        return self.root / "scenarios"

    @property
    def scratch(self) -> Path:
        """Temporary files on the same file system as their targets, so that a rename is atomic."""
        return self.root / "tmp"

    @property
    def dagster_home(self) -> Path:
        """Dagster's own state: runs, events, schedules."""
        return self.root / "dagster"

    def prepare(self) -> None:
        """Make the folders and put the project's ``dagster.yaml`` where Dagster looks for it.

        Raises:
            UsageError: The home cannot be written.
        """
        try:
            for folder in (self.landing, self.raw, self.scratch, self.dagster_home):
                folder.mkdir(parents=True, exist_ok=True)
            settings = self.dagster_home / "dagster.yaml"
            wanted = (PROJECT_ROOT / "dagster.yaml").read_text()
            if not settings.exists() or settings.read_text() != wanted:
                settings.write_text(wanted)
        except OSError as error:
            raise UsageError(
                f"The home {self.root} cannot be written: {error.strerror or error}. "
                "Set DELEVER_HOME to a folder that you may write."
            ) from error

    def profile(self) -> str:
        """The profile that this home is bound to.

        Raises:
            UsageError: Nothing has been run in it.
        """
        marker = self.root / "profile.json"
        if not marker.exists():
            raise UsageError(f"Nothing has been run in {self.root} yet.")
        return str(json.loads(marker.read_text()).get("profile"))

    def claim(self, profile: str) -> None:
        """Bind this home to one profile, so that synthetic and real rows never share a warehouse.

        Raises:
            UsageError: The home already holds another profile.
        """
        marker = self.root / "profile.json"
        if marker.exists():
            held = json.loads(marker.read_text()).get("profile")
            if held != profile:
                raise UsageError(
                    f"{self.root} holds the profile '{held}', not '{profile}': synthetic and real rows are never mixed. "
                    f"Use another home (DELEVER_HOME=data/{profile} delever run --profile {profile} ...) or remove the folder."
                )
            return
        self.root.mkdir(parents=True, exist_ok=True)
        marker.write_text(json.dumps({"profile": profile}) + "\n")
