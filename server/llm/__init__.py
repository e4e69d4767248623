"""A language model behind an OpenAI-compatible API: called within bounds, never relied on.

a use: prompt, type of the answer, time        server/llm/smart_replies.py
  ▼
LanguageModel.ask                              server/llm/service.py
  redact ─▶ cache ─▶ breaker ─▶ budget ─▶ ask, once more at most ─▶ decode
  ▼                                            server/llm/model.py
the response, or why there is none: then the local rules of the use apply
"""
