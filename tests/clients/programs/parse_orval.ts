// A real reply fits the schemas that orval makes for zod.
import assert from "node:assert/strict";
import { serviceListResponse } from "../made/orval/zod";

const answer = await fetch(`${process.argv[2]}/services/?limit=5`);
const page = serviceListResponse.parse(await answer.json());
assert(page.items.length > 0);
const price: number = page.items[0]!.price;
console.log(`parsed ${page.items.length} services, the first for ${price}`);
