"""The code that wrote the trees which are adopted: what it does to files, line for line, without the waiting."""

from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

Dict = dict[str, Any]  # Any: the prototype kept whatever it was given


class FirstVersion:
    """The prototype's file storage; its clock goes on by a second and a bit at each look."""

    def __init__(self, base_path: Path) -> None:
        self.base_path = base_path
        self.now = datetime(2025, 11, 1, 12)  # noqa: DTZ001 - it kept naive times

    def _utcnow(self) -> datetime:
        self.now += timedelta(seconds=1, microseconds=500_001)
        return self.now

    def _get_company_path(self, company_id: str, platform: str) -> Path:
        return self.base_path / company_id / platform

    def save_ticket(self, company_id: str, platform: str, ticket_data: Dict) -> Path:
        company_path = self._get_company_path(company_id, platform)
        company_path.mkdir(parents=True, exist_ok=True)
        ticket_id = ticket_data.get("ticket_id")
        file_path = company_path / "tickets" / f"{ticket_id}.json"
        file_path.parent.mkdir(parents=True, exist_ok=True)
        ticket_data.update({"company_id": company_id, "platform": platform, "saved_at": self._utcnow().isoformat(), "storage_type": "file"})
        with file_path.open("wb") as f:
            f.write(orjson.dumps(ticket_data, option=orjson.OPT_INDENT_2))
        return file_path

    def get_ticket(self, company_id: str, platform: str, ticket_id: str) -> Dict:
        file_path = self._get_company_path(company_id, platform) / "tickets" / f"{ticket_id}.json"
        ticket: Dict = orjson.loads(file_path.read_bytes())
        return ticket

    def update_processing_status(self, company_id: str, platform: str, ticket_id: str, status: Any) -> None:  # Any: nothing was checked
        ticket = self.get_ticket(company_id, platform, ticket_id)
        ticket["processing_status"] = status
        ticket["status_updated_at"] = self._utcnow().isoformat()
        self.save_ticket(company_id, platform, ticket)

    def save_summary(self, company_id: str, platform: str, item_id: Any, summary_data: Any) -> Path:  # Any: nothing was checked
        summaries_path = self._get_company_path(company_id, platform) / "summaries"
        summaries_path.mkdir(parents=True, exist_ok=True)
        summary_file = summaries_path / f"{item_id}.json"
        summary_record = {
            "company_id": company_id,
            "platform": platform,
            "item_id": item_id,
            "summary": summary_data,
            "created_at": self._utcnow().isoformat(),
        }
        with summary_file.open("wb") as f:
            f.write(orjson.dumps(summary_record, option=orjson.OPT_INDENT_2))
        return summary_file

    def save_kb_article(self, company_id: str, platform: str, article_data: Dict) -> Path:
        kb_path = self._get_company_path(company_id, platform) / "knowledge_base"
        kb_path.mkdir(parents=True, exist_ok=True)
        article_id = article_data.get("id") or article_data.get("article_id")
        file_path = kb_path / f"{article_id}.json"
        article_data.update({"company_id": company_id, "platform": platform, "saved_at": self._utcnow().isoformat()})
        with file_path.open("wb") as f:
            f.write(orjson.dumps(article_data, option=orjson.OPT_INDENT_2))
        return file_path

    def put_progress(self, company_id: str, platform: str, progress: Any) -> Path:  # Any: whatever the application wrote there
        """Nothing in the prototype wrote this file, which it only read: an application did."""
        path = self._get_company_path(company_id, platform) / "progress" / "progress.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(orjson.dumps(progress))
        return path


def digest(tree: Path) -> str:
    """Of all that stands in a tree: names, kinds, permissions, times and bytes."""
    hashed = sha256()
    for path in sorted(tree.rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        hashed.update(repr((str(path), status.st_mode, status.st_mtime_ns, status.st_ino, content)).encode(errors="surrogateescape"))
    return hashed.hexdigest()
