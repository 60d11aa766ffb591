import hooks from 'eslint-plugin-react-hooks';
import tseslint from 'typescript-eslint';

export default tseslint.config(
  {
    ignores: [
      '**/lib/**',
      '**/node_modules/**',
      'server_ext/**',
      'kernels/**',
      '.venv/**',
      'labext/src/api/schema.ts' // made from docs/reference/openapi.json by every build
    ]
  },
  ...tseslint.configs.strict,
  {
    files: ['labext/**/*.{ts,tsx}'],
    plugins: { 'react-hooks': hooks },
    rules: {
      ...hooks.configs.recommended.rules,
      // The house's rule for module sizes.
      'max-lines': ['error', { max: 400 }],
      '@typescript-eslint/no-empty-function': 'off',
      '@typescript-eslint/consistent-type-imports': 'error',
      curly: 'error',
      eqeqeq: 'error'
    }
  }
);
