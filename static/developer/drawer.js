// The developer's drawer: demo only.
