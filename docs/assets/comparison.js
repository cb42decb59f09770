// A slider over each .comparison: left of it the first image, right of it the second.
for (const comparison of document.querySelectorAll(".comparison")) {
  const slider = document.createElement("input");
  slider.type = "range";
  slider.value = 50;
  slider.setAttribute("aria-label", "noisy on the left, denoised on the right");
  slider.addEventListener("input", () => comparison.style.setProperty("--shown", `${slider.value}%`));
  comparison.append(slider);
}
