"""What a node does not know when it has been asleep."""

from signalling.calls.wakefulness import ASLEEP_S, Wakefulness


class Rig:
    def __init__(self) -> None:
        self.now_s = 100.0
        self.proved_s = 100.0
        self.node = Wakefulness(lambda: self.now_s, lambda: self.proved_s)

    def awake(self, seconds: float) -> None:
        """The loop goes round for so long."""
        for _ in range(int(seconds * 10)):
            self.now_s += 0.1
            self.node.tick()


def test_a_node_that_is_awake_is_sure_however_long_the_database_is_away() -> None:
    rig = Rig()
    rig.awake(600)
    assert rig.node.is_sure()


def test_after_a_sleep_only_a_younger_proof_makes_sure() -> None:
    rig = Rig()
    rig.awake(5)
    rig.proved_s = rig.now_s
    rig.now_s += ASLEEP_S + 0.1
    assert not rig.node.is_sure(), "whoever asks first finds it out"
    rig.awake(1)
    rig.proved_s = rig.now_s - 1.1
    assert not rig.node.is_sure(), "begun before it fell asleep"
    rig.proved_s = rig.now_s
    assert rig.node.is_sure()
    rig.awake(60)
    assert rig.node.is_sure()


def test_the_tick_that_comes_first_after_a_sleep_hides_nothing() -> None:
    rig = Rig()
    rig.now_s += ASLEEP_S + 0.1
    rig.node.tick()
    rig.node.tick()
    assert not rig.node.is_sure()


def test_a_short_nap_is_no_sleep() -> None:
    rig = Rig()
    rig.now_s += ASLEEP_S
    assert rig.node.is_sure()


def test_a_start_that_took_long_is_no_sleep_as_long_as_the_epoch_was_proved_meanwhile() -> None:
    rig = Rig()
    rig.now_s += 10
    rig.proved_s = rig.now_s - ASLEEP_S + 0.1
    rig.node.tick()
    assert rig.node.is_sure()
    rig.now_s += 10
    rig.proved_s = rig.now_s - 1
    assert rig.node.is_sure()
    rig.now_s += 10
    rig.node.tick()
    assert not rig.node.is_sure()
