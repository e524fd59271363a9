/** Contrast as WCAG 2 has it (success criterion 1.4.3), of every visible text of a page. */

/** The texts whose contrast is lower than that, with their colours. Disabled controls needn't have any. */
export function contrastsBelow(page, least) {
  return page.evaluate((wanted) => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });

    /** Any CSS colour as red, green, blue and opacity. */
    function channels(color) {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = color;
      canvas.fillRect(0, 0, 1, 1);
      const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data;
      return [red, green, blue, alpha / 255];
    }

    const over = ([r, g, b, a], below) => [r, g, b].map((value, at) => value * a + below[at] * (1 - a));

    function background(node) {
      const layers = [];
      for (let at = node; at; at = at.parentElement) layers.push(channels(getComputedStyle(at).backgroundColor));
      return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255]);
    }

    function luminance(color) {
      const [r, g, b] = color.map((value) => value / 255).map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    }

    const isRead = (node) => node.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && !node.closest(".visually-hidden, .skip, :disabled");
    const texts = [...document.querySelectorAll("body *")].filter((node) => isRead(node) && [...node.childNodes].some((child) => child.nodeType === Node.TEXT_NODE && /[\p{L}\p{N}✓]/u.test(child.data)));
    return texts.flatMap((node) => {
      const below = background(node);
      const [one, other] = [luminance(over(channels(getComputedStyle(node).color), below)), luminance(below)];
      const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
      return contrast < wanted ? [`${contrast.toFixed(2)} ${node.tagName}.${node.className} “${node.textContent.slice(0, 30)}”`] : [];
    });
  }, least);
}
