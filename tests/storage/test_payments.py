from storage import payments
from storage.ids import new_id
from storage.pool import Connection
from tests.storage.paying import order
from tests.storage.world import make_user


async def test_an_opened_payment_is_processing_and_has_a_checkout(conn: Connection) -> None:
    user = await make_user(conn)

    payment = await order(conn, user.id)

    assert (payment.status, payment.checkout_url) == ("processing", "http://x/")
    assert payment.completed_at is None
    assert await payments.read(conn, user.id, payment.id) == payment
    assert await payments.find(conn, "sandbox", payment.reference) == payment


async def test_an_event_is_fresh_once(conn: Connection) -> None:
    user = await make_user(conn)
    payment = await order(conn, user.id)
    event = {"gateway": "sandbox", "event_id": f"evt_{new_id()}"}

    assert await payments.record_event(conn, **event, kind="payment.paid")
    assert not await payments.record_event(conn, **event, kind="payment.paid")
    await payments.close_event(conn, **event, payment_id=payment.id, outcome="completed")

    row = await conn.fetchrow("select * from psp_event where event_id = $1", event["event_id"])
    assert row is not None
    assert (row["payment_id"], row["outcome"]) == (payment.id, "completed")


async def test_a_payment_no_gateway_took_has_failed(conn: Connection) -> None:
    user = await make_user(conn)
    payment = await payments.create(
        conn,
        payment_id=new_id(),
        user_id=user.id,
        purpose="topup",
        gateway="sandbox",
        amount_minor=5,
        currency="PTS",
        reference="pay_without_checkout",
        description=None,
    )

    await payments.give_up(conn, payment.id)

    found = await payments.read(conn, user.id, payment.id)
    assert found is not None
    assert found.status == "failed"


async def test_payments_are_read_by_their_owner_only(conn: Connection) -> None:
    user, other = await make_user(conn), await make_user(conn)
    older, newer = await order(conn, user.id), await order(conn, user.id, amount=7)

    mine, total = await payments.list_of(conn, user.id, limit=10, offset=0)

    assert {each.id for each in mine} == {older.id, newer.id}
    assert total == 2
    assert await payments.list_of(conn, other.id, limit=10, offset=0) == ([], 0)
    assert await payments.read(conn, other.id, older.id) is None
    assert await payments.read_by_reference(conn, other.id, older.reference) is None
    assert await payments.read_by_reference(conn, user.id, older.reference) == older
