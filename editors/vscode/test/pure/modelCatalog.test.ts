import assert from "node:assert/strict";
import { test } from "node:test";
import { describe, parseCatalog } from "../../src/pure/modelCatalog";

const smol = {
  name: "smollm2-135m",
  title: "SmolLM2",
  sizeBytes: 98_362_432,
  memoryMb: 350,
  licence: "Apache-2.0",
  tuned: false,
  here: true,
};

test("the list is read", () => {
  assert.deepEqual(parseCatalog(JSON.stringify([smol, { other: 1 }])), [smol]);
});

test("output that is no list of models gives no model", () => {
  for (const text of ["", "name  size\nsmollm2", "{}", "[1, null]"]) assert.deepEqual(parseCatalog(text), []);
});

test("size, memory, licence and a warning", () => {
  assert.equal(describe(smol), "98 MB, 350 MB of memory, Apache-2.0, not tuned for fill-in-the-middle");
  assert.equal(describe({ ...smol, tuned: true }), "98 MB, 350 MB of memory, Apache-2.0");
});

test("large sizes are in GB", () => {
  const large = { ...smol, sizeBytes: 1_647_000_000, memoryMb: 2_100, tuned: true };
  assert.equal(describe(large), "1.6 GB, 2.1 GB of memory, Apache-2.0");
});
