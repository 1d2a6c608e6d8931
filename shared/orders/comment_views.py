"""Comments as each role sees them. Apart from `orders.views`, so that adding a comment need not load all of it."""

from typing import Annotated

from pydantic import Field

from orders.models import StoredComment
from orders.types import Model, Moment

NextCursor = Annotated[
    str | None,
    Field(description="The `cursor` of the next page. Null on the last page.", examples=["MTc5NTQ1NDcwOTEyMzQ1Ng"]),
]


class Comment(Model):
    """A comment, as the specification shows it. `id` is the time of `created` in microseconds since 1970."""

    id: Annotated[int, Field(ge=0, lt=2**53, examples=[1795454709123456])]
    content: Annotated[str, Field(examples=["Please ring twice."])]
    admin_name: str | None
    is_visible_to_customer: Annotated[bool, Field(examples=[True])]
    is_admin: bool
    created: Moment


class StaffComment(Comment):
    """A comment as the staff sees it: also whether it is flagged for them, its author, and whether it was redacted.

    The `content` of a redacted comment is empty, and `redacted_by` is the id of the admin who redacted it.
    """

    flagged: bool
    author: Annotated[str, Field(examples=["alice"])]
    redacted_at: Moment | None
    redacted_by: Annotated[str | None, Field(examples=[None])]


class Comments(Model):
    """The answer to a new comment: that comment only."""

    comments: tuple[Comment, ...]


class CommentPage(Model):
    """Comments that the customer may read, oldest first."""

    comments: tuple[Comment, ...]
    next_cursor: NextCursor


class StaffCommentPage(Model):
    """Comments, internal and redacted ones included, oldest first."""

    comments: tuple[StaffComment, ...]
    next_cursor: NextCursor


def comment_for_customer(comment: StoredComment) -> Comment:
    """Returns a comment as the specification has it, without its author and flag."""
    return Comment(**{name: getattr(comment, name) for name in Comment.model_fields})


def comment_for_staff(comment: StoredComment) -> StaffComment:
    """Returns a comment as the staff sees it."""
    return StaffComment(**{name: getattr(comment, name) for name in StaffComment.model_fields})
