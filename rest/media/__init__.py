"""What the operator's own media server tells about the media of calls."""
