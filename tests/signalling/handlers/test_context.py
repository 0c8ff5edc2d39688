"""What handlers work with."""

from storage.ids import new_id
from tests.signalling.harness import START_MS, Node


async def test_credentials_are_made_for_this_user_this_call_and_this_moment(node: Node) -> None:
    context = node.desk._context
    user_id, call_id = new_id(), new_id()
    _, turn = context.ice(user_id, call_id)
    assert turn.username == f"{START_MS // 1_000 + 600}:{user_id}:{call_id}"
    assert context.hub is node.hub
    assert context.board is node.board
