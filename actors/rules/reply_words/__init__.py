"""The words of suggested replies, one language a file.

A reply stands under what was said last and who reads it (``customer``, ``provider``; ``any`` for both and for anybody
else), under the stage of the job and who reads it, or in ``GENERAL``; after
bad news, in ``TROUBLE`` instead of these two. No reply assumes who travels to whom.
"""
