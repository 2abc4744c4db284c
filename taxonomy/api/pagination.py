"""How lists are cut into pages."""

from typing import Any

from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import PageNumberPagination
from rest_framework.request import Request


class Pages(PageNumberPagination):
    """``?page=2&page_size=200``."""

    page_size_query_param = "page_size"
    max_page_size = 500
    invalid_page_message = "There is no page {page_number} here."

    def get_page_size(self, request: Request) -> int | None:
        asked = request.query_params.get("page_size")
        if asked is None:
            return self.page_size
        if not (asked.isascii() and asked.isdecimal() and 1 <= int(asked[:9]) <= self.max_page_size):
            raise ValidationError({"page_size": f"A page holds from 1 to {self.max_page_size}."})
        return int(asked)

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any] | None:
        page = request.query_params.get("page", "1")
        if not (page.isascii() and page.isdecimal() and len(page) < 10):
            raise NotFound("A page's number is a whole number from 1.")
        return super().paginate_queryset(queryset, request, view)


class HeavyPages(Pages):
    """For rows that bring their numbers along."""

    max_page_size = 100
