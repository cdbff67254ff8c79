// What is looked for in the page's style sheet: what a browser would drop or read twice.
export default {
  extends: ["stylelint-config-recommended"],
  rules: {
    "no-descending-specificity": null, // the sheet goes from the top of the page to its bottom, not by specificity
    "declaration-block-no-redundant-longhand-properties": true,
    "no-unknown-custom-properties": true,
    "no-unknown-animations": true,
  },
};
