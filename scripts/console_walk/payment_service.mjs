// Runs the payment service's stand-in until it is stopped: prints where it is. `node payment_service.mjs SECRET FILE`,
// where FILE will hold the gateway's URL.
import { readFileSync } from "node:fs";
import { paymentService } from "./payment.mjs";

const [secret, file] = process.argv.slice(2);
const { base } = await paymentService(secret, () => readFileSync(file, "utf8").trim());
console.log(base);
