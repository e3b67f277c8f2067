// An agent: an Ed25519 key, signed requests, a key, a token, a generation. Nothing but what Node has.
import { generateKeyPairSync, randomBytes, sign } from "node:crypto";

export class Agent {
  constructor(base, name) {
    this.base = base;
    this.name = name;
    const { privateKey, publicKey } = generateKeyPairSync("ed25519");
    this.privateKey = privateKey;
    this.publicKey = publicKey.export({ type: "spki", format: "der" }).subarray(-32).toString("hex");
  }

  signed(body) {
    const whole = { ...body, timestamp: Math.floor(Date.now() / 1000), nonce: randomBytes(16).toString("hex") };
    const sorted = (value) =>
      Array.isArray(value)
        ? `[${value.map(sorted).join(",")}]`
        : value && typeof value === "object"
          ? `{${Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${sorted(value[key])}`).join(",")}}`
          : JSON.stringify(value);
    return { ...whole, signature: sign(null, Buffer.from(sorted(whole)), this.privateKey).toString("hex") };
  }

  async call(method, path, body, bearer) {
    const headers = { "content-type": "application/json" };
    if (bearer) headers.authorization = `Bearer ${bearer}`;
    const answer = await fetch(this.base + path, { method, headers, body: body && JSON.stringify(body) });
    return { status: answer.status, data: (await answer.json()).data };
  }

  async ok(method, path, body, bearer) {
    const { status, data } = await this.call(method, path, body, bearer);
    if (status !== 200) throw new Error(`${method} ${path}: ${status} ${JSON.stringify(data)}`);
    return data;
  }

  async register() {
    const body = this.signed({ public_key: this.publicKey, agent_name: this.name, agent_version: "1.4.0" });
    this.registration = await this.ok("POST", "/api/v1/agents/register", body);
    return this.registration;
  }

  /** A key and a token, once the owner has bound the agent. */
  async begin(scopes) {
    const { agent_id, registration_code } = this.registration;
    const key = { agent_id, registration_code, key_name: "main", scopes, expires_in_days: 90 };
    this.key = (await this.ok("POST", "/api/v1/agents/keys/create", this.signed(key))).api_key;
    const token = await this.ok("POST", "/api/v1/agents/auth/token", this.signed({ agent_id }), this.key);
    this.token = token.access_token;
  }

  generate(body) {
    return this.ok("POST", "/v1/generate", body, this.token);
  }

  finished(id) {
    return this.ok("GET", `/v1/generate/${id}?wait=60`, undefined, this.token);
  }
}
