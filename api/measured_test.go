package api

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

func TestStrangersCannotFillTheMetrics(t *testing.T) {
	t.Parallel()
	reader := sdkmetric.NewManualReader()
	measure, err := measured(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter("test"))
	require.NoError(t, err)
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.Use(measure)
	for i := range 100 {
		for _, method := range []string{fmt.Sprint("M", i), http.MethodGet} {
			e.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), method, fmt.Sprint("/", i), nil))
		}
	}
	var all metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &all))
	histogram, ok := all.ScopeMetrics[0].Metrics[0].Data.(metricdata.Histogram[float64])
	require.True(t, ok)
	require.Len(t, histogram.DataPoints, 2)
}
