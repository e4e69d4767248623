"""A language model behind an API of OpenAI's form: asked within bounds, never relied on.

a use: prompt, type of the answer, time        server/llm/smart_replies.py
  ▼
LanguageModel.ask                              server/llm/service.py
  redact ─▶ cache ─▶ breaker ─▶ budget ─▶ ask, once more at most ─▶ decode
  ▼                                            server/llm/model.py
the answer, or why there is none: then the use's own local rules answer
"""
