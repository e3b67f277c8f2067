// Looks at pages: is anything wider than the screen, what does axe find, and a picture of each at two widths, light
// and dark.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const WIDTHS = [375, 1440];

/** Problems of a page that is open, at every width and in both colours; pictures go to `folder` if it is given. */
export async function look(page, name, folder) {
  const problems = [];
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    for (const width of WIDTHS) {
      await page.setViewportSize({ width, height: 900 });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      if (wide > 0) problems.push(`${name} at ${width}: ${wide} px wider than the screen`);
      if (folder) await page.screenshot({ path: `${folder}/${name}-${width}-${colorScheme}.png`, fullPage: true });
      // The page's own policy forbids foreign scripts: this one comes through the browser's own door.
      await page.evaluate(axe);
      const found = await page.evaluate(async () => {
        const { violations } = await window.axe.run(document, { resultTypes: ["violations"] });
        return violations.map(({ id, impact, nodes }) => ({ id, impact, at: nodes.map((node) => node.target.join(" ")) }));
      });
      for (const { id, impact, at } of found) {
        if (impact === "serious" || impact === "critical") {
          problems.push(`${name} at ${width} ${colorScheme}: ${impact} ${id}: ${at.slice(0, 3).join(", ")}`);
        }
      }
    }
  }
  await page.emulateMedia({ colorScheme: "light" });
  return problems;
}
