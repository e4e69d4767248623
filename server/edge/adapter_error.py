"""What a channel's adapter gets, does and answers. One adapter a file; each speaks to one kind of provider.

Outcome
├── Sent        the provider took it
├── TryLater    not now: it is busy, slow or down; ``unknown`` if it may have taken it all the same
├── Refused     never in this form: the attempt is the last one
├── Gone        the address is no more: the attempt is the last one, and the address is forgotten
└── Needless    not wanted any more; nothing was sent
"""


class AdapterError(Exception):
    """An adapter cannot work as it is configured; the message is meant for the operator."""
