"""The generators: how each is run, and what is done with its client.

All run in one folder, which has the two documents, ``programs/``, ``node_modules/`` and ``python/``; each writes into
``made/``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Command = tuple[str, ...]

NPX = ("npx", "--no-install")
TSC = (*NPX, "tsc", "--noEmit", "-p")
PYTHON = "python/bin/python"
#: Stands for the address of the server in a command.
URL = "{url}"
_JAVA = ("python/bin/openapi-generator-cli", "generate", "-i", "openapi.json")


@dataclass(frozen=True)
class Generator:
    """One generator, and the commands that generate, compile and drive its client, in order.

    Args:
        needs: the programs that must be on the machine.
        check: looks at what was made; returns what is wrong with it.
    """

    name: str
    needs: tuple[str, ...]
    commands: tuple[Command, ...]
    check: Callable[[Path], list[str]] = lambda made: []
    #: Words in its output that mean that it left something out.
    silent_about: tuple[str, ...] = ()


def no_empty_models(made: Path) -> list[str]:
    """Kotlin classes without a value, as an amount of two types becomes."""
    models = [path.read_text(encoding="utf-8") for path in made.rglob("models/*.kt")]
    if not models:
        return ["no models"]
    return [text.rpartition("class ")[2][:40] for text in models if not any(word in text for word in ("val ", "enum"))]


def named_models(made: Path) -> list[str]:
    """Models without a name, and the absence of those that an app looks for."""
    names = {path.stem for path in made.glob("*.ts")}
    wrong = sorted(name for name in names if name.startswith("Anonymous"))
    return wrong + sorted({"BookingCreated", "EventBookingCreated"} - names)


GENERATORS = (
    Generator(
        "openapi-typescript",
        ("node", "npm"),
        (
            # Its default makes request fields with a default value required.
            (
                *NPX,
                *("openapi-typescript", "openapi.json", "-o", "made/openapi-typescript.d.ts"),
                *("--default-non-nullable", "false"),
            ),
            (*TSC, "tsconfig.openapi-typescript.json"),
            (*NPX, "tsx", "programs/book_openapi_fetch.ts", URL),
        ),
    ),
    Generator(
        "hey-api",
        ("node", "npm"),
        (
            (*NPX, "openapi-ts", "-i", "openapi.json", "-o", "made/hey-api"),
            (*TSC, "tsconfig.hey-api.json"),
            (*NPX, "tsx", "programs/book_hey_api.ts", URL),
        ),
    ),
    Generator(
        "orval",
        ("node", "npm"),
        (
            (*NPX, "orval", "--config", "orval.config.cjs"),
            (*TSC, "tsconfig.orval.json"),
            # Not compiled: orval writes defaults of lists of enums as string[].
            (*NPX, "tsx", "programs/parse_orval.ts", URL),
        ),
    ),
    Generator(
        "openapi-python-client",
        ("python",),
        (
            (
                *("python/bin/openapi-python-client", "generate", "--path", "openapi.json", "--meta", "none"),
                *("--output-path", "made/openapi_python_client_made", "--overwrite"),
            ),
            (PYTHON, "programs/book_openapi_python_client.py", URL),
        ),
        silent_about=("WARNING", "Unable to parse", "merged"),
    ),
    Generator(
        "datamodel-code-generator",
        ("python",),
        (
            (
                *("python/bin/datamodel-codegen", "--input", "openapi.json", "--input-file-type", "openapi"),
                *("--output", "made/datamodel_made.py", "--output-model-type", "pydantic_v2.BaseModel"),
            ),
            (PYTHON, "-W", "error", "made/datamodel_made.py"),
        ),
    ),
    Generator(
        "openapi-generator typescript-fetch",
        ("java", "node", "npm"),
        (
            (*_JAVA, "-g", "typescript-fetch", "-o", "made/typescript-fetch"),
            (*TSC, "tsconfig.typescript-fetch.json"),
        ),
    ),
    Generator(
        "openapi-generator kotlin",
        ("java",),
        ((*_JAVA, "-g", "kotlin", "-o", "made/kotlin"),),
        check=lambda made: no_empty_models(made / "kotlin"),
    ),
    Generator("openapi-generator dart-dio", ("java",), ((*_JAVA, "-g", "dart-dio", "-o", "made/dart-dio"),)),
    Generator(
        "modelina",
        ("node", "npm"),
        (("node", "programs/models_modelina.mjs"), (*TSC, "tsconfig.modelina.json")),
        check=lambda made: named_models(made / "modelina"),
    ),
)

#: What is compiled for each TypeScript client.
COMPILED = {
    "openapi-typescript": ("programs/book_openapi_fetch.ts",),
    "hey-api": ("programs/book_hey_api.ts", "made/hey-api/**/*.ts"),
    "orval": ("made/orval/gw.ts",),
    "modelina": ("made/modelina/*.ts",),
    "typescript-fetch": ("made/typescript-fetch/**/*.ts",),
}
TSCONFIG = {
    "strict": True,
    "target": "ES2022",
    "module": "ESNext",
    "moduleResolution": "bundler",
    "lib": ["ES2022", "DOM", "DOM.Iterable"],
    "types": ["node"],
    "skipLibCheck": True,
}
ORVAL_CONFIG = """\
module.exports = {
  client: { input: "openapi.json", output: { target: "made/orval/gw.ts", client: "fetch" } },
  schemas: { input: "openapi.json", output: { target: "made/orval/zod.ts", client: "zod" } },
};
"""
