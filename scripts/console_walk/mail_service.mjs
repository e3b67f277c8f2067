// A server that letters are sent to, until it is stopped: prints its port, and adds each letter to a file.
// `node mail_service.mjs FILE`.
import { createServer } from "node:net";
import { appendFileSync } from "node:fs";

const [file] = process.argv.slice(2);
const server = createServer((socket) => {
  let [text, letter] = ["", null];
  const say = (line) => socket.write(`${line}\r\n`);
  say("220 walk");
  socket.on("error", () => {});
  socket.on("data", (piece) => {
    text += piece;
    for (let end = text.indexOf("\r\n"); end >= 0; end = text.indexOf("\r\n")) {
      const line = text.slice(0, end);
      text = text.slice(end + 2);
      if (letter === null) {
        if (/^DATA$/i.test(line)) letter = [];
        say(/^DATA$/i.test(line) ? "354 go on" : /^QUIT/i.test(line) ? "221 bye" : "250 walk");
      } else if (line === ".") {
        appendFileSync(file, `${letter.join("\n")}\n`);
        letter = null;
        say("250 taken");
      } else {
        letter.push(line);
      }
    }
  });
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
