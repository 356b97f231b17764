// Shows the OpenAPI document of this service. HEAD is left out: it answers as GET does, without a body.
document.documentElement.classList.toggle("dark-mode", matchMedia("(prefers-color-scheme: dark)").matches);
const answer = await fetch("openapi/openapi.json");
const spec = await answer.json();
for (const item of Object.values(spec.paths)) delete item.head;
globalThis.SwaggerUIBundle({
  spec,
  dom_id: "#reference",
  deepLinking: true,
  supportedSubmitMethods: [], // a trial would send the example of every optional parameter
});
