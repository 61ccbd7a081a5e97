"""Code that was written for the document this project started from runs as it stands there."""

import asyncio
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Optional

import pytest

import deskstore
from deskstore.facade import DictStorage, StorageInterface, get_storage
from tests.payloads import freshdesk

INTERFACE = '''
class StorageInterface(ABC):
    """데이터 저장소 추상화 인터페이스 (멀티플랫폼/멀티테넌트 지원)"""

    @abstractmethod
    async def save_ticket(self, company_id: str, platform: str, ticket_data: Dict) -> str:
        """티켓 데이터 저장"""
        pass

    @abstractmethod
    async def get_ticket(self, company_id: str, platform: str, ticket_id: str) -> Optional[Dict]:
        """티켓 데이터 조회"""
        pass

    @abstractmethod
    async def list_tickets(
        self,
        company_id: str,
        platform: str = None,
        status: str = None,
        limit: int = 100,
        offset: int = 0
    ) -> List[Dict]:
        """티켓 목록 조회 (필터 지원)"""
        pass

    @abstractmethod
    async def update_processing_status(
        self,
        company_id: str,
        platform: str,
        ticket_id: str,
        status: str
    ) -> bool:
        """처리 상태 업데이트"""
        pass

    @abstractmethod
    async def save_summary(
        self,
        company_id: str,
        platform: str,
        item_id: str,
        summary_data: Dict
    ) -> bool:
        """LLM 요약 결과 저장"""
        pass

    @abstractmethod
    async def get_processing_progress(
        self,
        company_id: str,
        platform: str
    ) -> Dict:
        """처리 진행 상황 조회"""
        pass

    @abstractmethod
    async def save_kb_article(
        self,
        company_id: str,
        platform: str,
        article_data: Dict
    ) -> str:
        """지식베이스 문서 저장"""
        pass

    @abstractmethod
    async def list_companies(self) -> List[str]:
        """등록된 회사 목록 조회"""
        pass

    @abstractmethod
    async def get_platform_stats(self, company_id: str) -> Dict[str, int]:
        """플랫폼별 데이터 통계"""
        pass
'''

EXAMPLE = """
# 사용 예시
async def example_usage():
    storage = get_storage()

    # 환경에 관계없이 동일한 API 사용
    await storage.save_ticket("wedosoft", "freshdesk", ticket_data)
    tickets = await storage.list_tickets("wedosoft", "freshdesk", status="resolved")
    progress = await storage.get_processing_progress("wedosoft", "freshdesk")
"""

NINE = (
    "save_ticket",
    "get_ticket",
    "list_tickets",
    "update_processing_status",
    "save_summary",
    "get_processing_progress",
    "save_kb_article",
    "list_companies",
    "get_platform_stats",
)


def of_the_document(source: str, name: str, **known: object) -> Any:  # Any: whatever the document defines under that name
    names = {
        "ABC": ABC,
        "abstractmethod": abstractmethod,
        "List": list,
        "Dict": dict,
        "Any": Any,
        "Optional": Optional,
        "datetime": datetime,
    }
    namespace: dict[str, object] = {**names, **known}
    exec(source, namespace)  # noqa: S102 - the document's own text
    return namespace[name]


Parameter = tuple[str, object, object]


def parameters(operation: Callable[..., object]) -> list[Parameter]:
    """What the document's callers can rely on: name, default and kind, in order; what can only be named was added since."""
    found = inspect.signature(operation).parameters.values()
    return [(one.name, one.default, one.kind) for one in found if one.kind is not inspect.Parameter.KEYWORD_ONLY]


@pytest.mark.parametrize("name", NINE)
@pytest.mark.parametrize("ours", [DictStorage, StorageInterface])
def test_an_operation_has_the_names_the_order_and_the_defaults_of_the_document(ours: type, name: str) -> None:
    theirs = of_the_document(INTERFACE, "StorageInterface")

    added = [one for one in inspect.signature(getattr(ours, name)).parameters.values() if one.kind is one.KEYWORD_ONLY]

    assert parameters(getattr(ours, name)) == parameters(getattr(theirs, name))
    assert all(one.default is not one.empty for one in added)


def test_there_are_nine_operations_and_no_more() -> None:
    theirs = of_the_document(INTERFACE, "StorageInterface")

    assert theirs.__abstractmethods__ == set(NINE)
    assert {name for name in vars(StorageInterface) if not name.startswith("_")} == set(NINE)
    assert isinstance(DictStorage(), StorageInterface)


@pytest.mark.parametrize("ticket_data", [freshdesk(42, status=4), {"ticket_id": "42", "status": "resolved"}], ids=["freshdesk", "document"])
def test_the_usage_example_runs_as_it_stands(data_path: Path, ticket_data: dict[str, object]) -> None:
    example = of_the_document(EXAMPLE, "example_usage", get_storage=deskstore.get_storage, ticket_data=ticket_data)

    asyncio.run(example())

    tickets, progress = asyncio.run(as_the_example_sees_it())
    assert [ticket["status"] for ticket in tickets] == [ticket_data["status"]]
    assert progress["total_tickets"] == 1
    assert (data_path / "wedosoft" / "freshdesk" / "tickets" / "42.json").is_file()


async def as_the_example_sees_it() -> tuple[list[dict[str, Any]], dict[str, Any]]:  # Any: payloads
    storage = get_storage()
    tickets = await storage.list_tickets("wedosoft", "freshdesk", status="resolved")
    return tickets, await storage.get_processing_progress("wedosoft", "freshdesk")


def test_the_package_has_the_documents_names() -> None:
    assert deskstore.get_storage is get_storage
    assert deskstore.DictStorage is DictStorage
    assert deskstore.StorageInterface is StorageInterface
    assert deskstore.StorageFactory.get_supported_types() == ["file", "postgresql", "hybrid"]
