// The models that modelina makes of the AsyncAPI document: file → its source, in one folder.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { TypeScriptGenerator } from "@asyncapi/modelina";

const document = JSON.parse(await readFile("asyncapi.json", "utf8"));
const generator = new TypeScriptGenerator({ modelType: "interface" });
await mkdir("made/modelina", { recursive: true });
for (const model of await generator.generateCompleteModels(document, { exportType: "named" })) {
  await writeFile(`made/modelina/${model.modelName}.ts`, model.result);
}
