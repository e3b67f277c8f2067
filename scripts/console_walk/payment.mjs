// The payment service's side of a purchase: a page to pay on, and its signed word that somebody paid. Events are
// signed by the service's own SDK.
import { createServer } from "node:http";
import { randomBytes } from "node:crypto";
import Stripe from "stripe";

export async function paymentService(webhookSecret, gateway) {
  const stripe = new Stripe("sk_test_walk");
  const sessions = new Map();
  const read = async (request) => {
    let text = "";
    for await (const piece of request) text += piece;
    return text;
  };
  const server = createServer(async (request, response) => {
    const url = new URL(request.url, "http://service");
    const answer = (status, body, type = "application/json") => {
      response.writeHead(status, { "content-type": type });
      response.end(type === "application/json" ? JSON.stringify(body) : body);
    };
    if (request.method === "POST" && url.pathname === "/v1/checkout/sessions") {
      const form = new URLSearchParams(await read(request));
      const id = `cs_test_${randomBytes(12).toString("hex")}`;
      const metadata = {};
      for (const [name, value] of form) {
        const key = /^metadata\[(.+)\]$/.exec(name)?.[1];
        if (key) metadata[key] = value;
      }
      const amount = Number(form.get("line_items[0][price_data][unit_amount]"));
      const currency = form.get("line_items[0][price_data][currency]");
      const session = {
        id, object: "checkout.session", amount_total: amount, currency, livemode: false, metadata, mode: "payment",
        payment_status: "unpaid", status: "open", payment_intent: null, success_url: form.get("success_url"),
        client_reference_id: form.get("client_reference_id"), url: `${base}/pay/${id}`,
      };
      sessions.set(id, session);
      return answer(200, session);
    }
    const id = url.pathname.split("/").pop();
    const session = sessions.get(id);
    if (!session) return answer(404, { error: { message: "no such session" } });
    if (request.method === "GET" && url.pathname.startsWith("/pay/")) {
      const page = `<!doctype html><html lang="en"><title>Pay</title><h1>${session.amount_total} ${session.currency}</h1>
        <form method="post"><button>Pay</button></form>`;
      return answer(200, page, "text/html");
    }
    if (request.method === "POST" && url.pathname.startsWith("/pay/")) {
      Object.assign(session, { payment_status: "paid", status: "complete", payment_intent: `pi_${id.slice(8)}` });
      const now = Math.floor(Date.now() / 1000);
      const payload = JSON.stringify({
        id: `evt_${randomBytes(12).toString("hex")}`, object: "event", api_version: null, created: now, livemode: false,
        type: "checkout.session.completed", data: { object: session },
      });
      const header = stripe.webhooks.generateTestHeaderString({ payload, secret: webhookSecret });
      const heard = await fetch(`${gateway()}/callbacks/stripe`, {
        method: "POST", headers: { "content-type": "application/json", "stripe-signature": header }, body: payload,
      });
      if (!heard.ok) return answer(500, `the gateway answered ${heard.status}`, "text/plain");
      response.writeHead(303, { location: session.success_url.replace("{CHECKOUT_SESSION_ID}", id) });
      return response.end();
    }
    return answer(200, session);
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const base = `http://127.0.0.1:${server.address().port}`;
  return { base, close: () => server.close() };
}
