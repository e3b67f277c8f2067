// Signs a request as an agent in JavaScript would. stdin: {"seed": 64 hex digits, "body": {...}}; stdout: the
// body with its signature.
const crypto = require("node:crypto");
const given = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const der = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), Buffer.from(given.seed, "hex")]);
const key = crypto.createPrivateKey({ key: der, format: "der", type: "pkcs8" });
const sorted = (value) =>
  Array.isArray(value) ? value.map(sorted)
  : value && typeof value === "object" ? Object.fromEntries(Object.keys(value).sort().map((k) => [k, sorted(value[k])]))
  : value;
const message = Buffer.from(JSON.stringify(sorted(given.body)));
console.log(JSON.stringify({ ...given.body, signature: crypto.sign(null, message, key).toString("hex") }));
