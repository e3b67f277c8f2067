//! A request's wishes checked against a model, and made complete.
//!
//! Invariant: a `Plan` asks only for what its model can do, and a refusal names every problem at once with
//! what is allowed instead. Not here: prices, scopes, and who serves the model.

use std::sync::Arc;

use super::Catalog;
use super::ask::{Asked, FieldProblem, Plan, Refusal};
use super::model::{Mode, Model, Product};
use super::pixels::{AspectRatio, short_side};
use super::preset::Fit;

impl Catalog {
    /// Checks a request against its model and fills in the defaults.
    ///
    /// # Errors
    /// Names the unknown model, or every field that asks for what the model can't do.
    pub fn resolve(&self, model: &str, asked: &Asked) -> Result<Plan, Refusal> {
        let Some(model) = self.model(model) else {
            return Err(Refusal::UnknownModel { name: model.to_owned() });
        };
        let mut check = Check { model, asked, problems: Vec::new() };
        check.product();
        let mode = check.mode();
        check.prompt(mode);
        check.extras();
        let count = check.count();
        let fit = match self.fit(model, asked) {
            Ok(fit) => fit,
            Err(problem) => {
                check.problems.push(problem);
                None
            }
        };
        let sized = fit.as_ref().and_then(Fit::resolution);
        let default_resolution =
            sized.or_else(|| self.default_resolution(model, mode, asked.price_version.as_deref()));
        let resolution = check.resolution(default_resolution);
        let aspect_ratio = match &fit {
            Some(fit) => Some(fit.aspect_ratio.clone()),
            None => check.aspect_ratio(),
        };
        let duration_seconds = check.duration();
        if !check.problems.is_empty() {
            return Err(Refusal::Fields(check.problems));
        }
        let side = resolution.as_deref().and_then(short_side);
        let ratio = aspect_ratio.as_deref().and_then(AspectRatio::parse);
        let by_shape = side.zip(ratio).map_or((0, 0), |(side, ratio)| ratio.pixels(side));
        let exact = fit.as_ref().and_then(|fit| fit.pixels(resolution.as_deref()));
        let (width, height) = exact.unwrap_or(by_shape);
        let product = model.product;
        let model = Arc::clone(model);
        Ok(Plan { model, product, mode, count, resolution, aspect_ratio, duration_seconds, width, height })
    }

    /// The resolution of a request that names none: the cheapest, the lowest among equals.
    #[must_use]
    pub fn default_resolution<'a>(
        &self,
        model: &'a Model,
        mode: Mode,
        version: Option<&str>,
    ) -> Option<&'a String> {
        let pinned = version.and_then(|name| self.price_version(name)).filter(|version| version.live);
        let pinned =
            pinned.and_then(|version| version.model(&model.name)?.cheapest(&model.resolutions, mode));
        pinned.or_else(|| self.model_price(&model.name)?.cheapest(&model.resolutions, mode))
    }
}

struct Check<'a> {
    model: &'a Model,
    asked: &'a Asked,
    problems: Vec<FieldProblem>,
}

impl Check<'_> {
    fn refuse(&mut self, field: &'static str, problem: String, allowed: Vec<String>) {
        self.problems.push(FieldProblem { field, problem, allowed });
    }

    fn product(&mut self) {
        let Model { name, product, .. } = self.model;
        if self.asked.product.is_some_and(|asked| asked != *product) {
            self.refuse("product", format!("{name} makes {product}."), vec![product.to_string()]);
        }
    }

    /// The mode to go on with, also after a problem, so that the other fields are checked too.
    fn mode(&mut self) -> Mode {
        let model = self.model;
        let modes = || model.modes.iter().map(ToString::to_string).collect::<Vec<_>>();
        let has_inputs = self.asked.input_images > 0;
        let asked = self.asked.mode.filter(|mode| model.modes.contains(mode));
        if let (None, Some(mode)) = (asked, self.asked.mode) {
            self.refuse("scene", format!("{} has no {mode}.", model.name), modes());
        }
        let (with_images, from_text) = (model.image_mode(), model.text_mode());
        let inferred = if has_inputs { with_images.or(from_text) } else { from_text.or(with_images) };
        let mode = asked.or(inferred).unwrap_or(match model.product {
            Product::Image => Mode::TextToImage,
            Product::Video => Mode::TextToVideo,
            Product::Music => Mode::TextToMusic,
        });
        self.inputs(mode);
        mode
    }

    fn inputs(&mut self, mode: Mode) {
        const FIELD: &str = "input_image_urls";
        let (name, most) = (&self.model.name, self.model.max_input_images);
        let given = self.asked.input_images;
        let range = if most == 1 { "1 image".to_owned() } else { format!("1 to {most} images") };
        if mode.takes_images() {
            if given == 0 && !self.asked.estimate {
                let problem = format!("{name} needs at least one input image for {mode}.");
                self.refuse(FIELD, problem, vec![range]);
            } else if u32::try_from(given).map_or(true, |given| given > most) {
                let problem = format!("{name} takes at most {most}, and got {given}.");
                self.refuse(FIELD, problem, vec![range]);
            }
        } else if given > 0 {
            let problem = match self.model.image_mode() {
                Some(other) => format!("{mode} takes no input images; {other} does."),
                None => format!("{name} takes no input images."),
            };
            self.refuse(FIELD, problem, Vec::new());
        }
    }

    fn prompt(&mut self, mode: Mode) {
        let most = self.model.prompt_max_chars;
        let given = self.asked.prompt_chars;
        let allowed = vec![format!("1 to {most} characters")];
        if given.is_some_and(|chars| u32::try_from(chars).map_or(true, |chars| chars > most)) {
            let problem = format!("It has {} characters; {most} fit.", given.unwrap_or_default());
            self.refuse("prompt", problem, allowed);
        } else if given.unwrap_or_default() == 0 && !mode.takes_images() && !self.asked.estimate {
            self.refuse("prompt", format!("{mode} needs a prompt."), allowed);
        }
    }

    fn extras(&mut self) {
        let name = &self.model.name;
        if self.asked.negative_prompt && !self.model.negative_prompt {
            self.refuse("negative_prompt", format!("{name} takes no negative prompt."), Vec::new());
        }
        if self.asked.seed && !self.model.seed {
            self.refuse("seed", format!("{name} takes no seed."), Vec::new());
        }
    }

    /// Finds an asked number in the model's list.
    fn listed(&mut self, field: &'static str, noun: &str, asked: i128, list: &[u32]) -> Option<u32> {
        let found = list.iter().copied().find(|known| i128::from(*known) == asked);
        if found.is_none() {
            let allowed = list.iter().map(ToString::to_string).collect();
            self.refuse(field, format!("{} can't make {asked} {noun}.", self.model.name), allowed);
        }
        found
    }

    fn count(&mut self) -> u32 {
        let Some(asked) = self.asked.count else { return 1 };
        let model = self.model;
        self.listed("count", &format!("{}s in one request", model.unit), asked, &model.counts).unwrap_or(1)
    }

    fn resolution(&mut self, default: Option<&String>) -> Option<String> {
        let model = self.model;
        let Some(asked) = &self.asked.resolution else { return default.cloned() };
        if model.resolutions.is_empty() {
            self.refuse("resolution", format!("{} has no resolution.", model.product), Vec::new());
            return None;
        }
        let found = model.resolutions.iter().find(|known| known.eq_ignore_ascii_case(asked)).cloned();
        if found.is_none() {
            let problem = format!("{} has no resolution {asked:?}.", model.name);
            self.refuse("resolution", problem, model.resolutions.clone());
        }
        found
    }

    fn aspect_ratio(&mut self) -> Option<String> {
        let model = self.model;
        let Some(asked) = &self.asked.aspect_ratio else { return model.default_aspect_ratio.clone() };
        if model.aspect_ratios.is_empty() {
            self.refuse("aspect_ratio", format!("{} has no aspect ratio.", model.product), Vec::new());
            return None;
        }
        let found = model.aspect_ratios.iter().find(|known| *known == asked).cloned();
        if found.is_none() {
            let problem = match AspectRatio::parse(asked) {
                Some(_) => format!("{} has no aspect ratio {asked:?}.", model.name),
                None => format!("{asked:?} is not an aspect ratio such as \"16:9\"."),
            };
            self.refuse("aspect_ratio", problem, model.aspect_ratios.clone());
        }
        found
    }

    fn duration(&mut self) -> Option<u32> {
        let model = self.model;
        let Some(asked) = self.asked.duration_seconds else { return model.default_duration_seconds };
        if model.durations_seconds.is_empty() {
            self.refuse("duration", "A picture has no duration.".to_owned(), Vec::new());
            return None;
        }
        let noun = format!("seconds of {}", model.product);
        self.listed("duration", &noun, asked, &model.durations_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request that any text model takes.
    fn plain() -> Asked {
        Asked { prompt_chars: Some(10), ..Asked::default() }
    }

    fn with_images(input_images: usize) -> Asked {
        Asked { input_images, ..Asked::default() }
    }

    fn resolve(model: &str, asked: &Asked) -> Result<Plan, Refusal> {
        Catalog::builtin().unwrap().resolve(model, asked)
    }

    /// Each problem as `field: problem [allowed]`.
    fn problems(model: &str, asked: &Asked) -> Vec<String> {
        match resolve(model, asked) {
            Err(Refusal::Fields(all)) => {
                let show = |p: FieldProblem| format!("{}: {} [{}]", p.field, p.problem, p.allowed.join(", "));
                all.into_iter().map(show).collect()
            }
            other => panic!("{model}: {other:?}"),
        }
    }

    type Shape<'a> = (Mode, u32, Option<&'a str>, Option<&'a str>, Option<u32>, (u32, u32));

    fn shape(plan: &Plan) -> Shape<'_> {
        let (resolution, ratio) = (plan.resolution.as_deref(), plan.aspect_ratio.as_deref());
        (plan.mode, plan.count, resolution, ratio, plan.duration_seconds, (plan.width, plan.height))
    }

    #[test]
    fn defaults() {
        let image = resolve("nano-banana-pro", &plain()).unwrap();
        let expected = (Mode::TextToImage, 1, Some("1K"), Some("1:1"), None, (1024, 1024));
        assert_eq!((image.product, shape(&image)), (Product::Image, expected));
        let video = resolve("veo3", &plain()).unwrap();
        let expected = (Mode::TextToVideo, 1, Some("720p"), Some("16:9"), Some(4), (1280, 720));
        assert_eq!((video.product, shape(&video)), (Product::Video, expected));
        let only = resolve("fal-ai/ltx-2/image-to-video", &with_images(1)).unwrap();
        assert_eq!(shape(&only), (Mode::ImageToVideo, 1, Some("1080p"), Some("16:9"), Some(6), (1920, 1080)));
        let song = resolve("V5", &plain()).unwrap();
        assert_eq!(
            (song.product, shape(&song)),
            (Product::Music, (Mode::TextToMusic, 1, None, None, Some(30), (0, 0)))
        );
    }

    #[test]
    fn every_model_takes_everything_that_it_offers() {
        let catalog = Catalog::builtin().unwrap();
        let mut plans = 0;
        for cell in catalog.every_combination() {
            let model = cell.model;
            let ratios: Vec<_> = model.aspect_ratios.iter().cloned().map(Some).chain([None]).collect();
            let lengths: Vec<_> = model.durations_seconds.iter().copied().map(Some).chain([None]).collect();
            for (ratio, length) in ratios.iter().flat_map(|r| lengths.iter().map(move |l| (r.clone(), *l))) {
                let asked = Asked {
                    product: Some(model.product),
                    mode: Some(cell.mode),
                    count: Some(i128::from(cell.count)),
                    resolution: cell.resolution.map(str::to_lowercase),
                    duration_seconds: length.map(i128::from),
                    aspect_ratio: ratio,
                    input_images: if cell.mode.takes_images() { model.max_input_images as usize } else { 0 },
                    prompt_chars: Some(model.prompt_max_chars as usize),
                    negative_prompt: model.negative_prompt,
                    seed: model.seed,
                    ..Asked::default()
                };
                let plan = catalog.resolve(&model.name, &asked).unwrap();
                assert_eq!(
                    (plan.mode, plan.count, plan.resolution.as_deref()),
                    (cell.mode, cell.count, cell.resolution)
                );
                let side = cell.resolution.map_or(0, |name| short_side(name).unwrap());
                assert_eq!(plan.width.min(plan.height), side);
                assert!(plan.width.is_multiple_of(2) && plan.height.is_multiple_of(2));
                let explained = catalog.price(&plan, None).unwrap();
                let short = catalog.unit_price(&plan, None).unwrap();
                assert_eq!(short, (explained.version, explained.unit));
                plans += 1;
            }
        }
        assert!(plans > 500, "{plans}");
    }

    #[test]
    fn the_mode_follows_the_inputs_unless_it_is_named() {
        let mode = |model, asked: &Asked| resolve(model, asked).unwrap().mode;
        assert_eq!(mode("sora-2", &plain()), Mode::TextToVideo);
        assert_eq!(mode("sora-2", &with_images(1)), Mode::ImageToVideo);
        assert_eq!(mode("google/nano-banana", &with_images(3)), Mode::ImageToImage);
        assert_eq!(mode("qwen/image-to-image", &with_images(1)), Mode::ImageToImage);
        let named = Asked { mode: Some(Mode::ImageToVideo), estimate: true, ..Asked::default() };
        assert_eq!(mode("sora-2", &named), Mode::ImageToVideo);
        let estimate = Asked { estimate: true, ..Asked::default() };
        assert_eq!(mode("sora-2", &estimate), Mode::TextToVideo);
        assert_eq!(mode("fal-ai/ltx-2/image-to-video", &estimate), Mode::ImageToVideo);
    }

    #[test]
    fn what_contradicts_the_model_is_refused() {
        let unknown = Refusal::UnknownModel { name: "nano-bananna".to_owned() };
        assert_eq!(resolve("nano-bananna", &plain()), Err(unknown.clone()));
        assert_eq!(unknown.to_string(), "there is no model \"nano-bananna\"");
        assert!(resolve("Sora-2", &plain()).is_err());
        let asked = Asked { product: Some(Product::Video), ..plain() };
        assert_eq!(problems("z-image", &asked), ["product: z-image makes image. [image]"]);
        let asked = Asked { mode: Some(Mode::ImageToImage), ..plain() };
        assert_eq!(problems("z-image", &asked), ["scene: z-image has no image-to-image. [text-to-image]"]);
        assert_eq!(
            problems("z-image", &Asked { input_images: 1, ..plain() }),
            ["input_image_urls: z-image takes no input images. []"]
        );
        let asked = Asked { mode: Some(Mode::TextToVideo), input_images: 1, ..plain() };
        let refused = ["input_image_urls: text-to-video takes no input images; image-to-video does. []"];
        assert_eq!(problems("veo3", &asked), refused);
        let asked = Asked { mode: Some(Mode::ImageToVideo), ..plain() };
        let refused = ["input_image_urls: veo3 needs at least one input image for image-to-video. [1 image]"];
        assert_eq!(problems("veo3", &asked), refused);
        let refused = "input_image_urls: qwen/image-to-image needs at least one input image \
                       for image-to-image. [1 to 3 images]";
        assert_eq!(problems("qwen/image-to-image", &plain()), [refused]);
        let refused = ["input_image_urls: google/nano-banana takes at most 3, and got 4. [1 to 3 images]"];
        assert_eq!(problems("google/nano-banana", &with_images(4)), refused);
    }

    #[test]
    fn prompts_are_needed_for_text_and_bounded() {
        let needed = ["prompt: text-to-image needs a prompt. [1 to 1000 characters]"];
        assert_eq!(problems("z-image", &Asked::default()), needed);
        assert_eq!(problems("z-image", &Asked { prompt_chars: Some(0), ..plain() }), needed);
        let long = Asked { prompt_chars: Some(1001), ..plain() };
        let refused = ["prompt: It has 1001 characters; 1000 fit. [1 to 1000 characters]"];
        assert_eq!(problems("z-image", &long), refused);
        assert_eq!(problems("z-image", &Asked { estimate: true, ..long }), refused);
        assert!(resolve("z-image", &Asked { prompt_chars: Some(1000), ..plain() }).is_ok());
        assert!(resolve("sora-2", &with_images(1)).is_ok());
    }

    #[test]
    fn counts_resolutions_shapes_and_lengths_outside_the_lists() {
        for count in [0, 3, 5, 16, -1, 1 << 63, i128::from(u64::MAX), i128::from(i64::MIN)] {
            let refused = format!("count: z-image can't make {count} images in one request. [1, 2, 4, 8]");
            assert_eq!(problems("z-image", &Asked { count: Some(count), ..plain() }), [refused]);
        }
        let asked = Asked { count: Some(2), ..plain() };
        assert_eq!(problems("V4", &asked), ["count: V4 can't make 2 songs in one request. [1]"]);
        let sized = |text: &str| Asked { resolution: Some(text.to_owned()), ..plain() };
        let refused = ["resolution: veo3 has no resolution \"4k\". [720p, 1080p]"];
        assert_eq!(problems("veo3", &sized("4k")), refused);
        assert_eq!(problems("V4", &sized("1K")), ["resolution: music has no resolution. []"]);
        assert_eq!(resolve("nano-banana-pro", &sized("4k")).unwrap().resolution.as_deref(), Some("4K"));
        assert_eq!(resolve("veo3", &sized("1080P")).unwrap().resolution.as_deref(), Some("1080p"));
        let shaped = |text: &str| Asked { aspect_ratio: Some(text.to_owned()), ..plain() };
        let refused = ["aspect_ratio: veo3 has no aspect ratio \"1:1\". [16:9, 9:16]"];
        assert_eq!(problems("veo3", &shaped("1:1")), refused);
        let refused = ["aspect_ratio: \"16x9\" is not an aspect ratio such as \"16:9\". [16:9, 9:16]"];
        assert_eq!(problems("veo3", &shaped("16x9")), refused);
        assert_eq!(problems("V4", &shaped("1:1")), ["aspect_ratio: music has no aspect ratio. []"]);
        for seconds in [0, 5, -4, 1 << 63] {
            let refused = format!("duration: veo3 can't make {seconds} seconds of video. [4, 6, 8]");
            assert_eq!(problems("veo3", &Asked { duration_seconds: Some(seconds), ..plain() }), [refused]);
        }
        let asked = Asked { duration_seconds: Some(5), ..plain() };
        assert_eq!(problems("z-image", &asked), ["duration: A picture has no duration. []"]);
    }

    #[test]
    fn all_problems_come_at_once() {
        let asked = Asked {
            product: Some(Product::Music),
            mode: Some(Mode::TextToMusic),
            count: Some(3),
            resolution: Some("8K".to_owned()),
            duration_seconds: Some(7),
            aspect_ratio: Some("2:1".to_owned()),
            input_images: 2,
            prompt_chars: Some(99_999),
            negative_prompt: true,
            seed: true,
            ..Asked::default()
        };
        let fields: Vec<_> = match resolve("sora-2", &asked) {
            Err(Refusal::Fields(all)) => all.into_iter().map(|problem| problem.field).collect(),
            other => panic!("{other:?}"),
        };
        let expected = [
            "product",
            "scene",
            "input_image_urls",
            "prompt",
            "negative_prompt",
            "seed",
            "count",
            "resolution",
            "aspect_ratio",
            "duration",
        ];
        assert_eq!(fields, expected);
        let two = Asked { negative_prompt: true, seed: true, ..plain() };
        let text = "negative_prompt: sora-2 takes no negative prompt. seed: sora-2 takes no seed.";
        assert_eq!(resolve("sora-2", &two).unwrap_err().to_string(), text);
    }
}
