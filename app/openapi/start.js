"use strict";

// What is tried out sends every field that is filled in, and the page would fill in all defaults and examples, also
// those that exclude each other: they stand in the text instead. HEAD is said once, at the top.
function forReading(openapi) {
  Object.values(openapi.components.parameters).forEach(withTextOnly);
  for (const item of Object.values(openapi.paths)) {
    delete item.head;
    for (const operation of Object.values(item)) {
      const names = new Set((operation.parameters || []).map((parameter) => parameter.name));
      operation.parameters = (operation.parameters || []).filter((parameter) => !isNamedElsewhere(parameter, names));
      operation.parameters.forEach(withTextOnly);
    }
  }
  return openapi;
}

// Of a field's filters one is shown, whose text names the others.
function isNamedElsewhere(parameter, names) {
  const filter = /^(.+)\.(ne|lt|lte|gt|gte|in|prefix|isnull)$/.exec(parameter.name || "");
  return filter !== null && names.has(filter[1]);
}

function withTextOnly(parameter) {
  if (parameter.$ref || parameter.in === "path") return;
  const said = [];
  if (parameter.schema.default !== undefined) said.push("Default: `" + parameter.schema.default + "`.");
  if (parameter.example !== undefined) said.push("Example: `" + parameter.example + "`.");
  parameter.description = [parameter.description, ...said].join(" ");
  delete parameter.schema.default;
  delete parameter.example;
}

SwaggerUIBundle({
  // The service may be reached under a prefix: the document is found from where this file came from.
  url: new URL("../openapi/openapi.json", document.currentScript.src).href,
  dom_id: "#reference",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  filter: true,
  validatorUrl: null, // otherwise a badge is fetched from elsewhere
  plugins: [
    () => ({
      statePlugins: {
        spec: { wrapActions: { updateJsonSpec: (update) => (openapi) => update(forReading(openapi)) } },
      },
    }),
  ],
});
