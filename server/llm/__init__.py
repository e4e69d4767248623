"""A language model behind an OpenAI-compatible API: called within limits, never required.

a use: prompt, type of the answer, timeout     server/llm/smart_replies.py
  ▼
LanguageModel.ask                              server/llm/service.py
  redact ─▶ cache ─▶ breaker ─▶ budget ─▶ ask, with one retry at most ─▶ decode
  ▼                                            server/llm/model.py
the answer, or None: then the use falls back to its own local rules
"""
